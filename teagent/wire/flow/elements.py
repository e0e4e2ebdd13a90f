"""Information elements that the decoder reads, by their numbers in IANA's IPFIX registry.

NetFlow v9 field types up to 127 are the same numbers (RFC 3954 section 8). Elements that count the same thing are
tried in the order given: a template seldom has more than one of them.
"""

from __future__ import annotations

from typing import Final

OCTETS: Final = (1, 85, 231, 352, 23)  # octetDeltaCount, octetTotalCount, initiatorOctets, layer2..., postOctet...
LAYER2_OCTETS: Final = 352
PACKETS: Final = (2, 86, 298, 24)  # packetDeltaCount, packetTotalCount, initiatorPackets, postPacketDeltaCount
INPUT_INTERFACE: Final = (10, 252)  # ingressInterface, ingressPhysicalInterface
OUTPUT_INTERFACE: Final = (14, 253)
INPUT_PHYSICAL_INTERFACE: Final = 252
SOURCE_IPV4: Final = (8, 44)  # sourceIPv4Address, sourceIPv4Prefix
DESTINATION_IPV4: Final = (12, 45)
SOURCE_IPV6: Final = (27, 170)
DESTINATION_IPV6: Final = (28, 169)
PROTOCOL: Final = (4,)
SOURCE_PORT: Final = (7, 180, 182)  # sourceTransportPort, udpSourcePort, tcpSourcePort
DESTINATION_PORT: Final = (11, 181, 183)
SOURCE_ASN: Final = (16,)
DESTINATION_ASN: Final = (17,)

REVERSE_ENTERPRISE: Final = 29305  # RFC 5103 section 6.1: IANA's elements, counted for the way back
RESPONDER_OCTETS: Final = (232,)
RESPONDER_PACKETS: Final = (299,)

FLOW_DIRECTION: Final = 61
FLOW_END_SYS_UPTIME: Final = 21
FLOW_START_SYS_UPTIME: Final = 22
SYSTEM_INIT_MILLISECONDS: Final = 160

SAMPLING_INTERVAL: Final = 34
SAMPLER_RANDOM_INTERVAL: Final = 50
SAMPLING_PACKET_INTERVAL: Final = 305
SAMPLING_PACKET_SPACE: Final = 306
SAMPLING_SIZE: Final = 309
SAMPLING_POPULATION: Final = 310
SAMPLING_PROBABILITY: Final = 311
SAMPLER_ID: Final = (48, 302)  # samplerId, and selectorId which took its place
INTERFACE_SCOPES: Final = (10, 14)

DATA_LINK_FRAME_SIZE: Final = 312
DATA_LINK_FRAME_SECTION: Final = 315
DATA_LINK_FRAME_TYPE: Final = 408
SECTION_OFFSET: Final = (409, 102)  # of what follows in the frame, and Cisco's of before
IP_HEADER_PACKET_SECTION: Final = 313
LAYER2_PACKET_SECTION: Final = 104  # deprecated for 315 (NetFlow-Lite)

V9_SCOPE_INTERFACE: Final = 2  # RFC 3954 section 6.1: scope types are numbers of their own
