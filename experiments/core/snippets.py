"""Lines to paste into an application, so that it asks for a flag and tells what happened; with
placeholders for keys.

The same calls as in ``docs/clients.md``, whose examples tests execute, with this flag's names in
them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.core.types import JSON, FlagType

_JS_NAMES = {FlagType.INTEGER: "Number", FlagType.FLOAT: "Number"}
_POLL_SECONDS = 5
"""How often GrowthBook's clients ask, so that a switch reaches them within ten seconds."""
_GROWTHBOOK_IDS = {"user": "id", "tenant": "tenantId", "session": "sessionId"}


@dataclass(frozen=True)
class Wire:
    """What the lines are about: a flag, where the platform is, whom it hashes, which experiment
    asks, and what its metrics read, the primary one's first: pairs of event or observation and its
    name.
    """

    flag: str
    type: FlagType
    default: JSON
    base_url: str
    unit_type: str = "user"
    experiment: str | None = None
    sent: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Snippet:
    """One client's lines; ``scope`` is of the key that it needs."""

    name: str
    title: str
    scope: str
    code: str


def snippets(wire: Wire) -> tuple[Snippet, ...]:
    """One for each client that applications use, the local ones first."""
    return (
        Snippet("sdk", "Python SDK", "server", _sdk(wire)),
        Snippet("openfeature-python", "OpenFeature, Python", "server", _openfeature(wire)),
        Snippet("openfeature-js", "OpenFeature, browser", "client", _openfeature_js(wire)),
        Snippet("growthbook", "GrowthBook, Python", "server", _growthbook(wire)),
        Snippet("growthbook-js", "GrowthBook, browser", "client", _growthbook_js(wire)),
        Snippet("growthbook-node-js", "GrowthBook, Node", "server", _growthbook_node(wire)),
        Snippet("curl", "curl", "server", _curl(wire)),
    )


def _unit(wire: Wire) -> str:
    return f"{wire.unit_type}-42"


def _first_sent(wire: Wire) -> tuple[str, str]:
    """What the lines report: what the primary metric reads, else an example."""
    return wire.sent[0] if wire.sent else ("event", "order_completed")


def _python(value: JSON) -> str:
    return repr(value)


def _js(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _sdk(wire: Wire) -> str:
    what, name = _first_sent(wire)
    whose = (
        f'unit="{_unit(wire)}"'
        if wire.unit_type == "user"
        else f'units={{"{wire.unit_type}": "{_unit(wire)}"}}'
    )
    return "\n".join(
        (
            "from assay_sdk import AssayClient",
            "",
            f'client = AssayClient("{wire.base_url}", "assay_server_…", folder="/var/lib/app/assay")',
            "client.wait_ready()",
            f'value = client.get_{wire.type}("{wire.flag}", {_python(wire.default)}, {whose}, attributes={{}})',
            f'client.track("{name}", {whose})'
            if what == "event"
            else f'client.observe("{name}", 1.0, {whose})',
        )
    )


def _context_python(wire: Wire) -> str:
    return (
        f'EvaluationContext("{_unit(wire)}", {{}})'
        if wire.unit_type == "user"
        else f'EvaluationContext("user-42", {{"{_attribute(wire)}": "{_unit(wire)}"}})'
    )


def _attribute(wire: Wire) -> str:
    return _GROWTHBOOK_IDS.get(wire.unit_type, wire.unit_type)


def _openfeature(wire: Wire) -> str:
    return "\n".join(
        (
            "from openfeature import api",
            "from openfeature.contrib.provider.ofrep import OFREPProvider",
            "from openfeature.evaluation_context import EvaluationContext",
            "",
            'key = {"Authorization": "Bearer assay_server_…"}',
            f'api.set_provider_and_wait(OFREPProvider("{wire.base_url}", headers_factory=lambda: key))',
            f"who = {_context_python(wire)}",
            f'value = api.get_client().get_{wire.type}_value("{wire.flag}", {_python(wire.default)}, who)',
        )
    )


def _openfeature_js(wire: Wire) -> str:
    more = "" if wire.unit_type == "user" else f', {_attribute(wire)}: "{_unit(wire)}"'
    user = _unit(wire) if wire.unit_type == "user" else "user-42"
    kind = _JS_NAMES.get(wire.type, wire.type.capitalize())
    return "\n".join(
        (
            'import { OpenFeature } from "@openfeature/web-sdk";',
            'import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";',
            "",
            f'const baseUrl = "{wire.base_url}", key = "assay_client_…";',
            'const headers = [["Authorization", `Bearer ${key}`]];',
            f'await OpenFeature.setContext({{ targetingKey: "{user}"{more} }});',
            'await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl, headers, cacheMode: "network-first" }));',
            f'const value = OpenFeature.getClient().get{kind}Value("{wire.flag}", {_js(wire.default)});',
        )
    )


def _growthbook(wire: Wire) -> str:
    return "\n".join(
        (
            "from growthbook import GrowthBook",
            "from growthbook.plugins import growthbook_tracking_plugin",
            "",
            f'host, key = "{wire.base_url}", "assay_server_…"',
            "telling = growthbook_tracking_plugin(ingestor_host=host)",
            f'attributes = {{"{_attribute(wire)}": "{_unit(wire)}"}}',
            f"book = GrowthBook(api_host=host, client_key=key, attributes=attributes, cache_ttl={_POLL_SECONDS}, plugins=[telling])",
            "book.load_features()",
            f'value = book.get_feature_value("{wire.flag}", {_python(wire.default)})',
        )
    )


def _growthbook_js(wire: Wire) -> str:
    return "\n".join(
        (
            'import { GrowthBook } from "@growthbook/growthbook";',
            *_growthbook_plugins(wire, "client"),
            f'const attributes = {{ {_attribute(wire)}: "{_unit(wire)}" }};',
            "const book = new GrowthBook({ apiHost, clientKey, attributes, plugins });",
            f"await book.init({{ timeout: 2000, pollingInterval: {1000 * _POLL_SECONDS} }});",
            f'const value = book.getFeatureValue("{wire.flag}", {_js(wire.default)});',
        )
    )


def _growthbook_node(wire: Wire) -> str:
    return "\n".join(
        (
            'import { GrowthBookClient } from "@growthbook/growthbook";',
            *_growthbook_plugins(wire, "server"),
            "const client = new GrowthBookClient({ apiHost, clientKey, plugins });",
            f"await client.init({{ timeout: 2000, pollingInterval: {1000 * _POLL_SECONDS} }});",
            f'const request = client.createScopedInstance({{ attributes: {{ {_attribute(wire)}: "{_unit(wire)}" }} }});',
            f'const value = request.getFeatureValue("{wire.flag}", {_js(wire.default)});',
        )
    )


def _growthbook_plugins(wire: Wire, scope: str) -> tuple[str, ...]:
    return (
        'import { growthbookTrackingPlugin } from "@growthbook/growthbook/plugins";',
        "",
        f'const apiHost = "{wire.base_url}", clientKey = "assay_{scope}_…";',
        "const plugins = [growthbookTrackingPlugin({ ingestorHost: apiHost })];",
    )


def _curl(wire: Wire) -> str:
    units: JSON = {wire.unit_type: _unit(wire)}
    what, name = _first_sent(wire)
    fields: dict[str, JSON] = (
        {"event_type": name} if what == "event" else {"metric": name, "value": 1.0}
    )
    item: JSON = {"event_id": "an-id-of-yours", **fields, "units": units, "timestamp": "NOW"}
    told = _js({f"{what}s": [item]}).replace('"NOW"', "\"'$(date -u +%FT%TZ)'\"")
    if wire.experiment:
        path, body = "api/v1/assignments", {"units": units, "experiments": [wire.experiment]}
    else:
        path, body = f"ofrep/v1/evaluate/flags/{wire.flag}", {"context": _ofrep_context(wire)}
    return "\n".join(
        (
            f'assay={wire.base_url} key="Authorization: Bearer assay_server_…" json="Content-Type: application/json"',
            f'curl -sS $assay/{path} -H "$key" -H "$json" -d \'{_js(body)}\'',
            f'curl -sS $assay/api/v1/{what}s -H "$key" -H "$json" -d \'{told}\'',
        )
    )


def _ofrep_context(wire: Wire) -> JSON:
    return (
        {"targetingKey": _unit(wire)}
        if wire.unit_type == "user"
        else {"targetingKey": "user-42", _attribute(wire): _unit(wire)}
    )
