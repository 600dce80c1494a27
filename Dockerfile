# One image for every process: the command says which (Procfile). Needs no root, and no writable
# folder. BASE is any image with Python 3.11 or newer and its venv.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /source
COPY requirements-production.lock ./
RUN python3 -m venv /opt/coinfleet && \
    /opt/coinfleet/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements-production.lock
COPY pyproject.toml README.md LICENSE ./
COPY db ./db
COPY schedules ./schedules
COPY tasks ./tasks
COPY workers ./workers
RUN /opt/coinfleet/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
COPY --from=build /opt/coinfleet /opt/coinfleet
# A number, so that Kubernetes can see that it isn't root.
USER 10001:10001
WORKDIR /opt/coinfleet
ENV PATH=/opt/coinfleet/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    COINFLEET_HOST=0.0.0.0 \
    LOG_FORMAT=json
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "workers.webhooks"]
