"""The local Functions host: settings, loading, HTTP, invocations, management, console."""
