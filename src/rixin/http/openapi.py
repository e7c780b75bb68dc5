"""`python -m rixin.http.openapi`: print the API's OpenAPI document; the page's types are generated from it."""

import json
import sys

from rixin.http.app import routes
from rixin.http.describe import openapi_document


def main() -> None:
    json.dump(openapi_document(routes(None)), sys.stdout, ensure_ascii=False, indent=1, sort_keys=True)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
