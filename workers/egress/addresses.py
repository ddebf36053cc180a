"""Which addresses are public: the registries of ssrfguard 0.4.1, and what they leave open."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from ssrfguard import DEFAULT_DENIED, AddressTable, Block, Reach

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


def _denied(cidr: str, name: str, source: str) -> Block:
    return Block(ip_network(cidr), name, source, Reach.DENIED)


#: Longest prefix wins, so a wrapper (v4-mapped, NAT64, 6to4, Teredo) inside a denied range is still decoded.
DENIED = AddressTable(
    blocks=(
        *DEFAULT_DENIED.blocks,
        # A public address that answers only inside Azure: DNS, DHCP and the VM agent.
        _denied("168.63.129.16/32", "Azure platform channel", "learn.microsoft.com"),
        _denied("::ffff:0:0:0/96", "SIIT, IPv4-translated", "RFC 2765"),
        # Global unicast is 2000::/3 and nothing else. 0000::/8 stays with the registries: it holds the
        # wrappers, each listed by itself, and a neighbour of theirs must not be refused (table B26).
        *(
            _denied(cidr, "not global unicast", "RFC 4291")
            for cidr in ("100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/2", "8000::/1")
        ),
    )
)
