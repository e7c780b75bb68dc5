"""Rixin is Apache-2.0: what it installs beside itself must fit that."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.requirements import Requirement

LOCK = Path(__file__).parents[2] / "requirements" / "core.txt"
PINS = [Requirement(line) for line in re.findall(r"^[a-z0-9-]+==.*?(?= *\\$)", LOCK.read_text("utf-8"), re.MULTILINE)]

PERMISSIVE = {
    *(
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "PSF-2.0",
        "Zlib",
    ),
    "MPL-2.0",  # asks that changes to its own files stay open, and nothing of who uses them
}
# Imported by name at run time (SQLAlchemy does, where the database is PostgreSQL), unchanged, and replaceable by
# whoever runs Rixin: what the LGPL asks of a program that uses a library.
LGPL = {"psycopg", "psycopg-binary"}
# Packages from before licence expressions: what their classifier or their free text means.
MEANINGS = {
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "BSD-3-Clause, Apache-2.0, dependency licenses": "Apache-2.0",  # pypdfium2; PDFium's too are permissive
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def licence(package: str) -> str:
    """Its SPDX expression."""
    facts = metadata(package)
    classifiers = [one.split(" :: ")[-1] for one in facts.get_all("Classifier", []) if one.startswith("License ::")]
    said = facts["License-Expression"] or next((MEANINGS[one] for one in classifiers if one in MEANINGS), None)
    said = said or MEANINGS.get(facts["License"] or "", facts["License"])
    assert said, f"{package} names no licence"
    return canonicalize_license_expression(said)


@pytest.mark.parametrize(
    "pin", [pin for pin in PINS if pin.marker is None or pin.marker.evaluate()], ids=lambda pin: str(pin.name)
)
def test_every_library_of_the_core_fits_apache_2(pin: Requirement) -> None:
    try:
        found = licence(pin.name)
    except PackageNotFoundError:
        pytest.fail(f"{pin} is locked and not installed: `make up` or `make test` installs it.")
    choices = [set(re.split(r" AND ", choice)) for choice in found.split(" OR ")]
    allowed = PERMISSIVE | ({"LGPL-3.0-only"} if pin.name in LGPL else set())
    assert any(choice <= allowed for choice in choices), f"{pin.name} is under {found}"


def test_the_lock_is_read_whole() -> None:
    assert {"openvino", "sqlalchemy", "psycopg-binary"} <= {pin.name for pin in PINS}
    assert len(PINS) == LOCK.read_text("utf-8").count("==") - LOCK.read_text("utf-8").count("== '")
