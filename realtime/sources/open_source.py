"""Which source a text names."""

from pathlib import Path

from realtime.backends.stores import store_of
from realtime.domain.config import FILE, Bucket, parse_base
from realtime.domain.errors import PoisonMessage
from realtime.domain.interfaces import Gone, Store
from realtime.sources.file_names import MANIFEST, SPOOL, describe, leading
from realtime.sources.folder_tree import FolderTree
from realtime.sources.manifest import MOST_BYTES, parse_manifest
from realtime.sources.source import NoSource, Source
from realtime.sources.store_tree import StoreTree
from realtime.sources.tree_source import TreeSource


def open_source(text: str, abbr: str = "", *, called_after: bool = True) -> Source:
    """The source that `text` names: the path of a folder or of a file, or the URL of a prefix or an
    object of a store.

    `abbr` says whose its members are, where given. Else the names of folders say it: of those in
    the source, of those in a URL, or of a path's last folder, as below `_data/`, if `called_after`
    says so. Raises NoSource when there is no such source, ConfigurationError when the URL is
    malformed or the store missing, Unavailable and RetryLater when it cannot be reached.
    """
    if not text:
        raise NoSource("SOURCE is empty: name a folder, a file or a URL")
    if "://" in text:
        return _in_store(text, abbr)
    path = Path(text).absolute()
    if path.name == SPOOL:
        raise NoSource(f"{path} is a scraper's spool: publish_realtime sends it")
    if not path.exists():
        raise NoSource(f"{path} does not exist")
    folder = path if path.is_dir() else path.parent
    url, above = folder.as_uri(), leading(str(folder), own_name=called_after)
    if path.is_dir():
        return TreeSource(url, FolderTree(path), abbr, above)
    if path.name == MANIFEST:
        tree = FolderTree(folder)
        manifest = parse_manifest(_read(tree, path), path.as_uri(), str(folder))
        tree = FolderTree(folder, manifest.names)
        said = manifest.abbr, manifest.run_id
        return TreeSource(url, tree, abbr, above, *said, is_listed=True)
    _require_source(str(path))
    return TreeSource(url, FolderTree(folder, [path.name], trusted=True), abbr, above)


def _in_store(url: str, abbr: str) -> Source:
    bucket = parse_base(url, "SOURCE")
    if bucket.scheme == FILE:
        path = Path(bucket.name)
        bucket = bucket if path.is_dir() else Bucket(str(path.parent), f"{path.name}/")
    store = store_of(bucket)
    folder, _, name = bucket.prefix.rstrip("/").rpartition("/")
    prefix = f"{folder}/" if folder else ""
    around = Bucket(bucket.name, prefix)
    above = leading(bucket.name) if bucket.scheme == FILE else prefix
    if name == MANIFEST:
        manifest = parse_manifest(_get(store, prefix + name, url), url, _path(around))
        tree = StoreTree(store, prefix, manifest.names)
        said = manifest.abbr, manifest.run_id
        return TreeSource(around.url, tree, abbr, above, *said, is_listed=True)
    if describe(name) is not None:
        return TreeSource(around.url, StoreTree(store, prefix, [name]), abbr, above)
    if bucket.scheme == FILE and bucket.prefix:
        if not Path(bucket.name, name).exists():
            raise NoSource(f"{url} does not exist")
        _require_source(url)
    above = leading(bucket.name) if bucket.scheme == FILE else bucket.prefix
    return TreeSource(bucket.url, StoreTree(store, bucket.prefix), abbr, above)


def _path(bucket: Bucket) -> str:
    """What keys in a manifest may begin with. Of a folder, any part of its path."""
    return bucket.name if bucket.scheme == FILE else bucket.prefix.rstrip("/")


def _require_source(path: str) -> None:
    if describe(path.rpartition("/")[2]) is None:
        raise NoSource(
            f"{path} is neither {{type}}_{{id}}.json, a person's YAML, .jsonl, .tar.gz, .tgz, .zip"
            f" nor {MANIFEST}"
        )


def _read(tree: FolderTree, path: Path) -> bytes:
    try:
        return tree.read(path.name, MOST_BYTES).content
    except PoisonMessage as exc:
        raise NoSource(f"{path}: {exc}") from exc


def _get(store: Store, key: str, url: str) -> bytes:
    try:
        body = store.get(key, MOST_BYTES).body
    except Gone as exc:
        raise NoSource(f"{url} does not exist") from exc
    if body is None:
        raise NoSource(f"{url} has more than {MOST_BYTES} bytes")
    return body
