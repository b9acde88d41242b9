"""When something recurs: cron expressions, intervals, time zones. Pure."""
