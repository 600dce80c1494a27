#!/bin/sh
# Runs once, when PostgreSQL makes its data folder: the schema's owner, its database, and the roles
# of the processes with their passwords. The owner makes the roles, because it must be able to
# change them. psql quotes the passwords.
set -eu
psql --set=ON_ERROR_STOP=1 --no-psqlrc --quiet --username="$POSTGRES_USER" --dbname=postgres \
    --set=owner_password="$OWNER_PASSWORD" --set=web_password="$WEB_PASSWORD" \
    --set=worker_password="$WORKER_PASSWORD" --set=scheduler_password="$SCHEDULER_PASSWORD" \
    --set=console_password="$CONSOLE_PASSWORD" <<'SQL'
create role coinfleet_owner login createrole bypassrls password :'owner_password';
create database coinfleet owner coinfleet_owner;
set role coinfleet_owner;
create role coinfleet_web login password :'web_password';
create role coinfleet_worker login password :'worker_password';
create role coinfleet_scheduler login password :'scheduler_password';
create role coinfleet_console login password :'console_password';
SQL
