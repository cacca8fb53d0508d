"""The ASGI application: operations become routes, layers go around all of it."""

from __future__ import annotations

from typing import Any

from litestar import HttpMethod, Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from tradewright.api import dispatch, problems
from tradewright.api.layers import App, BodyLimit, Keys, Outermost
from tradewright.api.operations import Operation
from tradewright.api.problems import Refused
from tradewright.api.routes import all_operations
from tradewright.api.services import Services


def build(services: Services) -> App:
    """Return the application: every declared operation, and the layers around it."""
    app = Litestar(
        route_handlers=[_route(operation, services) for operation in all_operations()],
        openapi_config=None,
        exception_handlers={Exception: _on_error},
        logging_config=None,
        debug=False,
    )
    return Outermost(BodyLimit(Keys(app, services.authenticator)))  # type: ignore[arg-type]


def _route(operation: Operation, services: Services) -> HTTPRouteHandler:
    path = operation.path.replace("}", ":str}")

    async def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        state = request.scope["state"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
        try:
            raw = await dispatch.run(
                operation,
                services,
                state.get("principal"),
                dict(request.path_params),
                request.scope["query_string"],
                headers,
                await request.body(),
                state["request_id"],
                request.scope["path"],
            )
        except Exception as error:
            refused = problems.of(error)
            if refused.code == "internal_error":
                raise
            return _problem(request, refused)
        return Response(
            raw.body,
            status_code=raw.status,
            media_type=raw.media_type,
            headers={"Cache-Control": "no-store", **raw.headers},
        )

    handle.__name__ = operation.id
    method = HttpMethod(operation.method)
    return HTTPRouteHandler(path=path, http_method=method, status_code=200, include_in_schema=False)(handle)


def _on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, HTTPException):
        if error.status_code == 405:
            allow = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow") or ""
            detail = f"{request.scope['method']} does not exist here"
            return _problem(request, Refused("method_not_allowed", detail, headers={"Allow": allow} if allow else {}))
        if error.status_code == 404:
            return _problem(request, Refused("no_such_path", f"there is nothing at {request.scope['path']}"))
        return _problem(request, Refused("invalid_input", str(error.detail)))
    refused = problems.of(error)
    if refused.code == "internal_error":
        raise error
    return _problem(request, refused)


def _problem(request: Request[Any, Any, Any], refused: Refused) -> Response[bytes]:
    request_id = request.scope["state"]["request_id"]
    status, headers, body = problems.render(refused, request.scope["path"], request_id)
    media_type = headers.pop("content-type")
    return Response(body, status_code=status, media_type=media_type, headers=headers)
