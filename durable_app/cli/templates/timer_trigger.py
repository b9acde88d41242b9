"""Timer trigger: a function that runs by a schedule."""

import logging

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


# Second, minute, hour, day, month, day of the week: here every five minutes.
@bp.timer_trigger(arg_name="timer", schedule="0 */5 * * * *")
def my_function(timer: func.TimerRequest) -> None:
    """Do what is due."""
    if timer.past_due:
        logging.warning("my_function runs later than planned.")
    logging.info("my_function has run.")
