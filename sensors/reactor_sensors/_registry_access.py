"""Where a schema registry is and how to get in, as the options of a sensor say it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

_REFERENCES = ("env:", "file:")
# By decode=: the package that reads it, and the extra that installs it.
_PACKAGES = {"avro": ("fastavro", "avro"), "json-schema": ("jsonschema", "jsonschema")}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """`password` and `token` are references to secrets, `ca` is a path relative to the project."""

    url: str
    username: str = ""
    password: str = ""
    token: str = ""
    ca: str = ""

    def expect_usable(self, decode: str) -> None:
        """Raise ValueError for options that cannot be meant, and for a package that `decode` needs and is not there."""
        if decode not in _PACKAGES:
            if any((self.url, self.username, self.password, self.token, self.ca)):
                raise ValueError('registry: means nothing without decode="avro" or "json-schema"')
            return
        package, extra = _PACKAGES[decode]
        if find_spec(package) is None:
            raise ValueError(
                f'decode="{decode}" needs the package {package}, which is not installed; '
                f'pip install "reactor[{extra}]"'
            )
        self._expect_address()
        for name, value in (("password", self.password), ("token", self.token)):
            if value and not value.startswith(_REFERENCES):
                # Never the value: it may be the secret itself.
                raise ValueError(
                    f'registry_{name} is a reference, "env:NAME" or "file:PATH", not the value'
                )
        if bool(self.username) != bool(self.password):
            raise ValueError("registry_username and registry_password go together; give both")
        if self.token and self.username:
            raise ValueError("registry_token and registry_username exclude each other; give one")

    def _expect_address(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            parts, is_address = urlsplit(""), False
        if "@" in parts.netloc:
            raise ValueError(
                "registry: credentials do not belong into the address; "
                "use registry_username and registry_password"
            )
        if not is_address or parts.query or parts.fragment:
            raise ValueError(
                'registry: expected the address of the schema registry, such as "http://registry:8081"'
            )
        if self.ca and parts.scheme != "https":
            raise ValueError("registry_ca: means nothing without an https:// address")
