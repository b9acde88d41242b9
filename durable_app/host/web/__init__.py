"""The HTTP server: routes, requests, results, and who may call what."""
