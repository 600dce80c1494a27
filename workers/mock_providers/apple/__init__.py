"""Apple's App Store Server API as a server on this machine; see workers/mock_providers."""
