"""The reference page at /docs: plain HTML made from the OpenAPI document, no script, nothing from elsewhere. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from typing import Any

from tradewright.api.examples import example_of, resolved
from tradewright.api.problems import CATALOGUE

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d8dee4;--paper:#fff;--tint:#f5f7f9;--accent:#0b6bcb}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9aa5b1;--line:#30363d;--paper:#0f1419;--tint:#171d24;
--accent:#6cb6ff}}
*{box-sizing:border-box}body{margin:0;font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper)}
main{max-width:60rem;margin:0 auto;padding:1.5rem 1rem 4rem}h1{font-size:1.9rem;margin:.2em 0}h2{margin-top:2.6rem;
border-bottom:1px solid var(--line);padding-bottom:.3rem;text-transform:capitalize}a{color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.4rem 1rem;margin:1rem 0}code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--tint);border:1px solid var(--line);border-radius:8px;padding:.8rem;overflow:auto}
details{border:1px solid var(--line);border-radius:8px;margin:.6rem 0;background:var(--paper)}
summary{cursor:pointer;padding:.6rem .8rem;display:flex;gap:.7rem;align-items:baseline;flex-wrap:wrap}
summary::marker{content:""}details>div{padding:0 .9rem .9rem;border-top:1px solid var(--line)}
.method{font:700 .78rem ui-monospace,monospace;color:var(--accent);min-width:3.4rem}.soft{color:var(--soft)}
.scope{margin-left:auto;font-size:.8rem;color:var(--soft)}table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid var(--line);vertical-align:top}
.wide{overflow-x:auto}
"""


def page(document: dict[str, Any], base_url: str) -> str:
    """Return the reference of every operation, with a request to copy for each."""
    tags: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            block = _operation(document, base_url, path, method.upper(), operation)
            tags.setdefault(operation["tags"][0], []).append(block)
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in tags)
    body = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(blocks)}' for tag, blocks in tags.items())
    info = document["info"]
    start = (
        f"<h1>Tradewright API <span class=soft>{escape(info['version'])}</span></h1>"
        f"<p>{escape(info['description'])}</p>"
        "<p>Send the key that <code>tradewright up</code> printed, or make one with "
        "<code>tradewright keys create</code>:"
        f"</p><pre>curl -H 'Authorization: Bearer tw_paper_...' {escape(base_url)}/v1/signals</pre>"
        f'<nav>{links}<a href="/docs/errors">error codes</a><a href="/openapi.json">openapi.json</a></nav>'
    )
    return _html("Tradewright API reference", start + body)


def errors_page() -> str:
    """Return the page that every problem's `type` points into."""
    rows = "".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td><td>{escape(kind.title)}</td>'
        f"<td>{_marked(kind.advice)}</td></tr>"
        for code, kind in CATALOGUE.items()
    )
    return _html(
        "Tradewright error codes",
        '<p><a href="/docs">API reference</a></p><h1>Error codes</h1><p>Errors are '
        "<code>application/problem+json</code> (RFC 9457). <code>code</code> is stable; <code>errors</code> names "
        "every value that was refused.</p><div class=wide><table><thead><tr><th>code<th>status<th>meaning<th>what to do"
        f"</tr></thead><tbody>{rows}</tbody></table></div>",
    )


def _html(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
        f"<body><main>{body}</main></body></html>"
    )


def _operation(document: dict[str, Any], base_url: str, path: str, method: str, operation: dict[str, Any]) -> str:
    scope = operation["x-scope"]
    parts = [f"<p>{escape(operation.get('description', ''))}</p>" if operation.get("description") else ""]
    parts.append(_rights(operation))
    if operation["parameters"]:
        rows = "".join(_parameter(document, parameter) for parameter in operation["parameters"])
        parts.append(
            "<div class=wide><table><thead><tr><th>parameter<th>in<th>type<th></tr></thead>"
            f"<tbody>{rows}</tbody></table></div>"
        )
    body = operation.get("requestBody")
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        parts.append(f"<p>Body</p>{_sample(example_of(schema, document['components']['schemas']))}")
    parts.append(f"<pre>{escape(_curl(document, base_url, path, method, operation))}</pre>")
    responses = {status: _response(document, response) for status, response in operation["responses"].items()}
    for status, response in responses.items():
        content = response.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None:
            parts.append(f"<p>Answer <code>{status}</code></p>{_sample(content['example'])}")
    others = [f"<code>{s}</code> {escape(r['description'])}" for s, r in responses.items() if s[0] != "2"]
    parts.append(f"<p class=soft>{' · '.join(others)}</p>")
    head = (
        f"<span class=method>{method}</span><code>{escape(path)}</code>"
        f"<span class=soft>{escape(operation['summary'])}</span><span class=scope>{escape(scope)}</span>"
    )
    name = operation["operationId"]
    return f'<details id="{name}"><summary>{head}</summary><div>{"".join(parts)}</div></details>'


def _parameter(document: dict[str, Any], parameter: dict[str, Any]) -> str:
    if "$ref" in parameter:
        parameter = document["components"]["parameters"][parameter["$ref"].rpartition("/")[2]]
    schema = parameter["schema"]
    default = f", default <code>{escape(json.dumps(schema['default']))}</code>" if "default" in schema else ""
    need = "required" if parameter["required"] else ""
    note = f"{escape(parameter.get('description', ''))} {need}{default}".strip(" ,")
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}</td>"
        f"<td>{escape(_kind(document, schema))}</td><td>{note}</td></tr>"
    )


def _kind(document: dict[str, Any], schema: Mapping[str, Any]) -> str:
    schema = resolved(schema, document["components"]["schemas"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(document, part) for part in schema["anyOf"] if part.get("type") != "null")
    bounds = [f"{sign} {schema[name]}" for name, sign in (("minimum", "≥"), ("maximum", "≤")) if name in schema]
    return " ".join([str(schema.get("type", "value")), *bounds])


def _response(document: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = document["components"]["responses"][name] if name else response
    return found


def _rights(operation: dict[str, Any]) -> str:
    facts = [f"scope <code>{escape(operation['x-scope'])}</code>"]
    if "x-roles" in operation:
        facts.append(f"roles {escape(', '.join(operation['x-roles']))}")
    if "x-step-up" in operation:
        when = operation["x-step-up"]
        facts.append("step-up" if when is True else f"step-up {escape(when)}")
    facts.append(f"cost {operation['x-cost']}")
    return f"<p class=soft>{' · '.join(facts)}</p>"


def _curl(document: dict[str, Any], base_url: str, path: str, method: str, operation: dict[str, Any]) -> str:
    words = ["curl"] if method == "GET" else [f"curl -X {method}"]
    if any("key" in way for way in operation["security"]):
        words.append("-H 'Authorization: Bearer tw_paper_...'")
    elif operation["security"]:
        words.append("-b session.txt")
    body = operation.get("requestBody")
    if body is not None:
        words.append(
            f"-H 'Content-Type: application/json' -d '{json.dumps(body['content']['application/json']['example'])}'"
        )
    for parameter in operation["parameters"]:
        if parameter.get("in") == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
    return " ".join([*words, f"'{base_url}{path}'"])


def _sample(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"


def _marked(text: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
