"""Which agent to ask, and with which credentials."""

from __future__ import annotations

from dataclasses import dataclass, field

AUTH_PROTOCOLS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
PRIV_PROTOCOLS = ("des", "3des", "aes128", "aes192", "aes256")
MIN_KEY_LENGTH = 8  # RFC 3414 section 11.2: shorter passwords are not to be used, and agents refuse them


@dataclass(frozen=True, slots=True, kw_only=True)
class SnmpTarget:
    """An SNMP agent. Secrets never show in its repr.

    `version` is `2c` (needs `community`) or `3` (needs `user`; `auth_key` makes it authNoPriv, `priv_key` authPriv).
    `sha` is another word for `sha1`. `retries` are sent beyond the first request, `timeout_seconds` apart. Raises
    ValueError, in words for the operator, when the parts do not fit together.
    """

    address: str
    port: int = 161
    version: str = "2c"
    community: str | None = field(default=None, repr=False)
    user: str | None = None
    auth_protocol: str | None = None
    auth_key: str | None = field(default=None, repr=False)
    priv_protocol: str | None = None
    priv_key: str | None = field(default=None, repr=False)
    timeout_seconds: float = 2.0
    retries: int = 1

    def __post_init__(self) -> None:
        if not self.address:
            raise ValueError("the address is empty")
        if not 1 <= self.port <= 65535:
            raise ValueError(f"port {self.port} is not between 1 and 65535")
        if self.timeout_seconds <= 0:
            raise ValueError(f"a time-out of {self.timeout_seconds:g}s is not positive")
        if self.retries < 0:
            raise ValueError(f"{self.retries} retries is not a number of retries")
        if self.version == "2c":
            self._check_v2c()
        elif self.version == "3":
            self._check_v3()
        else:
            raise ValueError(f"SNMP version {self.version} is not spoken here, versions are 2c and 3")

    def _check_v2c(self) -> None:
        if not self.community:
            raise ValueError("SNMP version 2c takes a community")
        if self.user or self.auth_key or self.priv_key:
            raise ValueError("a user and keys belong to SNMP version 3, a community to 2c")

    def _check_v3(self) -> None:
        if not self.user:
            raise ValueError("SNMP version 3 takes a user")
        if len(self.user.encode(errors="surrogateescape")) > 32:
            raise ValueError("the SNMP user name is longer than 32 octets")
        if self.community:
            raise ValueError("a community belongs to SNMP version 2c, a user to 3")
        if bool(self.auth_protocol) != bool(self.auth_key):
            raise ValueError("authentication takes a protocol and a key, one of them is missing")
        if bool(self.priv_protocol) != bool(self.priv_key):
            raise ValueError("privacy takes a protocol and a key, one of them is missing")
        if self.priv_key and not self.auth_key:
            raise ValueError("privacy needs authentication, SNMP knows no encryption without it")
        if self.auth_protocol and self.auth_protocol not in {*AUTH_PROTOCOLS, "sha"}:
            raise ValueError(f"{self.auth_protocol} is not known, authentication is {', '.join(AUTH_PROTOCOLS)}")
        if self.priv_protocol and self.priv_protocol not in PRIV_PROTOCOLS:
            raise ValueError(f"{self.priv_protocol} is not known, privacy is {', '.join(PRIV_PROTOCOLS)}")
        for what, key in (("authentication", self.auth_key), ("privacy", self.priv_key)):
            if key is not None and len(key) < MIN_KEY_LENGTH:
                raise ValueError(f"the {what} key is shorter than {MIN_KEY_LENGTH} characters")

    @property
    def endpoint(self) -> str:
        """`192.0.2.1:161` or `[2001:db8::1]:161`."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def security_level(self) -> str:
        """As SNMP's own documents spell it."""
        if self.priv_key:
            return "authPriv"
        return "authNoPriv" if self.auth_key else "noAuthNoPriv"
