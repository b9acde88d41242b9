"""Worker processes of a host: how they are begun, talked to, listened to and ended."""
