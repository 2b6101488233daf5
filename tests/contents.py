"""Contents of texts on files: their digests, and what lies below a folder."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

# The digest of b"hello world".
HELLO = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
# Long before these tests run.
NOW = 1_700_000_000.0


def digest(content: bytes) -> str:
    """The SHA-256 of a content, as references have it."""
    return sha256(content).hexdigest()


def tree(base: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {path.relative_to(base).as_posix(): path.read_bytes() for path in base.rglob("*") if path.is_file()}


def lay(base: Path, path: str, content: bytes) -> None:
    """Put a file below a folder."""
    (base / path).parent.mkdir(parents=True, exist_ok=True)
    (base / path).write_bytes(content)
