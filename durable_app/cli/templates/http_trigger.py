"""HTTP trigger: a function that answers requests.

curl 'localhost:7071/api/my_function?name=Ada'
"""

import azure.functions as func

import durable_app as df

bp = df.Blueprint()


@bp.route(route="my_function", methods=["GET", "POST"], auth_level=func.AuthLevel.FUNCTION)
def my_function(req: func.HttpRequest) -> func.HttpResponse:
    """Greet whom the query names, or the body: {"name": "Ada"}."""
    name = req.params.get("name")
    if not name and req.get_body():
        try:
            name = req.get_json().get("name")
        except (ValueError, AttributeError):
            return func.HttpResponse("The body is no JSON object.", status_code=400)
    return func.HttpResponse(f"Hello, {name or 'stranger'}.")
