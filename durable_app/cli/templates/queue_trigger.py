"""Queue trigger: a function that handles the messages of a storage queue."""

import logging

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


@bp.queue_trigger(
    arg_name="message", queue_name="my-function-items", connection="AzureWebJobsStorage"
)
def my_function(message: func.QueueMessage) -> None:
    """Handle one message; after five failures it moves to my-function-items-poison."""
    logging.info("my_function got %s: %s", message.id, message.get_body().decode())
