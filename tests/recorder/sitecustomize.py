"""Python imports this first when its folder is on PYTHONPATH: writes down what AWS is asked.

Each request of botocore becomes a line of JSON in the file that `RECORD_AWS_CALLS` names.
"""

import json
import os
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

_make_api_call = BaseClient._make_api_call  # type: ignore[attr-defined]
_NAMING = ("Bucket", "Key", "VersionId", "CopySource", "Delete", "QueueUrl", "Name", "SecretId")


def _recorded(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
    call = {name: parameters[name] for name in _NAMING if name in parameters}
    call.update(Service=client.meta.service_model.service_name, Operation=operation, Missing=False)
    try:
        return _make_api_call(client, operation, parameters)
    except ClientError as exc:
        call["Missing"] = exc.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        raise
    finally:
        with open(os.environ["RECORD_AWS_CALLS"], "a") as record:
            record.write(f"{json.dumps(call)}\n")


BaseClient._make_api_call = _recorded  # type: ignore[attr-defined]
