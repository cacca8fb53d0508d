"""One call that succeeds for each operation on keys, limits and the audit log."""

from __future__ import annotations

from samples import Sample, SampleOf

SAMPLES: dict[str, SampleOf] = {
    "list_api_keys": lambda made: Sample("/v1/api-keys?limit=2"),
    "create_api_key": lambda made: Sample(
        "/v1/api-keys", {"name": "made", "scopes": ["market:read"], "addresses": ["127.0.0.0/8"]}
    ),
    "get_api_key": lambda made: Sample(f"/v1/api-keys/{made['key to read']}"),
    "update_api_key": lambda made: Sample(f"/v1/api-keys/{made['key to change']}", {"name": "changed"}),
    "revoke_api_key": lambda made: Sample(f"/v1/api-keys/{made['key to revoke']}"),
    "roll_api_key": lambda made: Sample(f"/v1/api-keys/{made['key to roll']}/roll", {"overlap_s": 60}),
    "list_audit_log": lambda made: Sample("/v1/audit-log?action=seed.write"),
    "verify_audit_log": lambda made: Sample("/v1/audit-log/verification"),
    "get_limits": lambda made: Sample("/v1/limits"),
}
