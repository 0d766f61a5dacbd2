use proptest::prelude::*;

use super::*;

fn read(payload: &[u8]) -> (Meaning, Option<&'static str>) {
    let message = Message::read(payload, payload.len() as u32, Message::UNKNOWN);
    (message.meaning, message.protocol())
}

/// Bytes of hexadecimal digits, and of strings in quotes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, part) in text.split('\'').enumerate() {
        if index % 2 == 1 {
            bytes.extend(part.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0").bytes());
        } else {
            let digits: Vec<u8> = part.bytes().filter(u8::is_ascii_hexdigit).collect();
            let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
            bytes.extend(digits.chunks(2).map(octet));
        }
    }
    bytes
}

/// Each as its protocol's documentation, or a capture, shows it.
const FAREWELLS: [(&str, &str); 64] = [
    ("MySQL", "01000000 01"),
    ("MySQL", "05000000 19 01000000"),
    ("MySQL", "05000000 19 01000000 01000000 01"),
    ("MySQL", "05000000 000000 01000000 01"),
    ("PostgreSQL", "'X' 00000004"),
    ("PostgreSQL", "00000010 04d2162e 00001234 deadbeef"),
    ("Redis", "'*1\\r\\n$4\\r\\nQUIT\\r\\n'"),
    ("Redis", "'*1\\r\\n$4\\r\\nquit\\r\\n'"),
    (
        "MongoDB",
        "4d000000 07000000 00000000 dd070000 00000000 00 38000000 04 'endSessions\\0' 2b00000003300022000000056964001000000004 0102030405060708090a0b0c0d0e0f10 0000 00",
    ),
    ("MongoDB", "20000000 07000000 00000000 d7070000 00000000 01000000 0102030405060708"),
    ("memcached", "80 07 0000 00 00 0000 00000000 00000000 0000000000000000"),
    ("Oracle", "000a 0000 06 00 0000 0040"),
    ("Oracle", "0000000a 06 00 0000 0040"),
    ("Oracle", "000d 0000 06 00 0000 0000 03 09 05"),
    ("AMQP 0-9-1", "01 0000 00000016 000a 0032 00c8 0b 'Normal exit' 00000000 ce"),
    ("AMQP 0-9-1", "01 0001 0000000b 0014 0028 00c8 00 00000000 ce"),
    ("AMQP 0-9-1", "08 0000 00000000 ce"),
    ("AMQP 0-9-1", "01 0000 00000004 000a 0033 ce"),
    ("AMQP 1.0", "0000000c 02 00 0000 00 53 18 45"),
    ("AMQP 1.0", "00000008 02 00 0000"),
    ("MQTT", "e000"),
    ("MQTT", "e00100"),
    ("MQTT", "c000"),
    ("NATS", "'PONG\\r\\n'"),
    ("STOMP", "'DISCONNECT\\n\\n\\0'"),
    ("Kafka", "0000001b 000d 0002 00000007 0007 'my-cons' 0002 'g1' 0002 'm1' 0000"),
    ("ZooKeeper", "00000008 00000005 fffffff5"),
    ("ZooKeeper", "00000008 fffffffe 0000000b"),
    ("SMPP", "00000010 00000006 00000000 00000003"),
    ("SMPP", "00000010 00000015 00000000 00000004"),
    ("LDAP", "30 05 020102 4200"),
    ("LDAP", "30 84 00000005 020102 4200"),
    ("LDAP", "30 06 020103 500102"),
    ("LDAP", "00000023 0504 04 ff 000c 000c 0000000011223344 0102030405060708090a0b0c 30 05 020109 4200"),
    (
        "SMB",
        "00000044 fe'SMB' 4000 0100 00000000 0400 0100 00000000 00000000 0500000000000000 fffe0000 01000000 0900000000000000 00000000000000000000000000000000 0400 0000",
    ),
    (
        "SMB",
        "00000044 fe'SMB' 4000 0100 00000000 0200 0100 00000000 00000000 0600000000000000 fffe0000 00000000 0900000000000000 00000000000000000000000000000000 0400 0000",
    ),
    ("SMB", "00000023 ff'SMB' 71 00000000 18 0128 0000 0000000000000000 0000 0100 0100 0100 0100 00 0000"),
    ("SSH", "00000017 06 01 0000000b 00000003 'bye' 00000000 000000000000"),
    ("BGP", "ffffffffffffffffffffffffffffffff 0015 03 06 02"),
    ("BGP", "ffffffffffffffffffffffffffffffff 0013 04"),
    ("RDP", "03000009 02f080 2180"),
    ("PPTP", "0010 0001 1a2b3c4d 0003 0000 01 00 0000"),
    ("Diameter", "01 000014 80 00011a 00000000 00000001 00000002"),
    ("Diameter", "01 000014 80 000118 00000000 00000001 00000002"),
    ("FIX", "'8=FIX.4.4' 01 '9=5' 01 '35=5' 01 '34=12' 01 '10=100' 01"),
    ("IEC 60870-5-104", "6804 43000000"),
    ("IEC 60870-5-104", "6804 13000000"),
    ("DLMS", "0001 0010 0001 0003 62 01 00"),
    ("OpenFlow", "04 02 0008 00000000"),
    ("HTTP/2", "000008 07 00 00000000 00000005 00000000"),
    ("HTTP/2", "000004 08 00 00000000 00001000 000008 06 00 00000000 0102030405060708"),
    ("FastCGI", "01 02 0001 0000 00 00"),
    ("WebSocket", "88 82 01020304 0000"),
    ("WebSocket", "89 80 01020304"),
    ("TLS", "15 0303 0002 0100"),
    ("TLS", "17 0303 0013 00112233445566778899aabbccddeeff001122"),
    ("text", "'QUIT\\r\\n'"),
    ("text", "'quit\\r\\n'"),
    ("text", "'RSET\\r\\nQUIT\\r\\n'"),
    ("text", "'a005 LOGOUT\\r\\n'"),
    ("text", "'LOGOUT\\r\\n'"),
    ("text", "'QUIT :leaving for the night\\r\\n'"),
    ("text", "'</stream:stream>'"),
    ("text", "'\\r\\n'"),
];

const REQUESTS: [(&str, &str); 43] = [
    ("MySQL", "09000000 03 'SELECT 1'"),
    ("MySQL", "05000000 19 01000000 09000000 03 'SELECT 1'"),
    ("MySQL", "0a000000 17 01000000 00 01000000"),
    ("MySQL", "01000000 0e"),
    ("PostgreSQL", "'Q' 0000000d 'SELECT 1\\0'"),
    ("PostgreSQL", "'P' 00000008 00 '1\\0' 00 'S' 00000004"),
    ("PostgreSQL", "'Q' 0000000d 'SELECT 1\\0' 'X' 00000004"),
    ("PostgreSQL", "00000008 04d2162f"),
    ("Redis", "'*2\\r\\n$3\\r\\nGET\\r\\n$4\\r\\nQUIT\\r\\n'"),
    ("Redis", "'*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n*1\\r\\n$4\\r\\nQUIT\\r\\n'"),
    ("MongoDB", "28000000 07000000 00000000 dd070000 00000000 00 13000000 10 'ping\\0' 01000000 00 00000000"),
    ("memcached", "80 00 0001 00 00 0000 00000001 00000000 0000000000000000 'k'"),
    ("Cassandra", "04 00 0001 07 00000006 000000024141"),
    ("SQL Server", "01 01 000c 0000 01 00 41004200"),
    ("Oracle", "000f 0000 06 00 0000 0000 03 5e 05 6162"),
    ("AMQP 0-9-1", "01 0001 00000008 003c 0046 00000000 ce"),
    ("AMQP 1.0", "0000000c 02 00 0000 00 53 12 45"),
    ("MQTT", "10 0e 0004 'MQTT' 04 02 003c 0002 'c1'"),
    ("MQTT", "32 07 0003 'a/b' 0001"),
    ("Kafka", "0000001b 0003 0002 00000007 0007 'my-cons' 0002 'g1' 0002 'm1' 0000"),
    ("SMPP", "00000014 00000004 00000000 00000003 00000000"),
    ("LDAP", "30 0c 020101 6007 020103 0400 8000"),
    ("LDAP", "30 0c 020101 6007 020103 0400 8000 30 05 020102 4200"),
    (
        "SMB",
        "00000044 fe'SMB' 4000 0100 00000000 0500 0100 00000000 00000000 0500000000000000 fffe0000 01000000 0900000000000000 00000000000000000000000000000000 0400 0000",
    ),
    ("DCE/RPC", "05 00 00 03 10000000 1800 0000 01000000 00000000 0000 0100"),
    ("ONC RPC", "80000018 00000001 00000000 00000002 000186a3 00000003 00000000"),
    ("Diameter", "01 000014 c0 000110 00000004 00000001 00000002"),
    ("FIX", "'8=FIX.4.4' 01 '9=5' 01 '35=D' 01 '34=12' 01 '10=100' 01"),
    ("Modbus", "0001 0000 0006 01 03 0000 0001"),
    ("DLMS", "0001 0010 0001 000d c001c1000101000000ff0200 00"),
    ("DNS", "0011 1234 0100 0001 0000 0000 0000 0000 0100 01"),
    ("AJP", "1234 0001 0a"),
    ("FastCGI", "01 01 0001 0008 00 00 0001010000000000"),
    ("uwsgi", "00 1500 00 0e00 'REQUEST_METHOD' 0300 'GET'"),
    ("JSON-RPC", "'{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"eth_subscribe\",\"params\":[\"newHeads\"]}'"),
    ("HTTP/2", "000003 01 05 00000001 828486"),
    ("TLS", "16 0301 0008 01 000004 0303 0000"),
    ("SSH", "'SSH-2.0-OpenSSH_9.2\\r\\n'"),
    ("text", "'get key\\r\\n'"),
    ("text", "'MAIL FROM:<a@example.org>\\r\\n'"),
    ("text", "'BDAT 524 LAST\\r\\nFrom: a\\r\\n'"),
    ("text", "'a003 FETCH 1 BODY[]\\r\\n'"),
    ("text", "'NOOP\\r\\nQUIT\\r\\n'"),
];

const ONE_WAY: [(&str, &str); 12] = [
    ("MySQL", "07000000 18 01000000 0000"),
    ("MongoDB", "28000000 07000000 00000000 dd070000 02000000 00 13000000 10 'ping\\0' 01000000 00 00000000"),
    ("AMQP 0-9-1", "01 0001 00000009 003c 0028 0000 00 00 00 ce"),
    ("MQTT", "30 07 0003 'a/b' 'hi'"),
    ("MQTT", "40 02 0001"),
    ("NATS", "'PUB subject 2\\r\\nhi\\r\\n'"),
    ("STOMP", "'SEND\\ndestination:/q\\n\\nhi\\0'"),
    ("WebSocket", "81 85 00000000 'hello'"),
    ("BGP", "ffffffffffffffffffffffffffffffff 0017 02 0000 0000"),
    ("OpenFlow", "01 0a 0012 00000000 00000100 0002 0040 0001"),
    ("JSON-RPC", "'{\"jsonrpc\":\"2.0\",\"method\":\"log\",\"params\":[]}'"),
    ("syslog", "'<13>1 2026-01-01T00:00:00Z host app - - - started\\n'"),
];

#[test]
fn what_each_protocol_means_is_read_from_its_bytes_alone() {
    let meant =
        [(&FAREWELLS[..], Meaning::Farewell), (&REQUESTS, Meaning::Request), (&ONE_WAY, Meaning::OneWay)];
    for (messages, meaning) in meant {
        for (protocol, text) in messages {
            assert_eq!(read(&bytes(text)), (meaning, Some(*protocol)), "{text}");
        }
    }
}

#[test]
fn a_goodbye_is_whole_and_has_nothing_unread_behind_it() {
    for (_, text) in FAREWELLS.iter().filter(|(protocol, _)| *protocol != "TLS") {
        let whole = bytes(text);
        for len in 1..whole.len() {
            let cut = &whole[..len];
            // What is left may be another goodbye; a capture that holds fewer bytes than were sent proves none.
            let message = Message::read(cut, whole.len() as u32, Message::UNKNOWN);
            let told = message.meaning == Meaning::Farewell;
            assert!(!told || is_told_by_its_header(message), "{text}, {len} of {} bytes", whole.len());
        }
        let longer = [whole.as_slice(), &[0x7b; 40]].concat();
        assert_ne!(read(&longer).0, Meaning::Farewell, "{text}, and then 40 bytes of something");
    }
}

/// Messages whose header says all, however long they are.
fn is_told_by_its_header(message: Message) -> bool {
    !matches!(message.protocol(), Some("text" | "MQTT" | "NATS" | "STOMP"))
}

#[test]
fn what_looks_like_another_protocol_than_the_connections_own_asks_for_nothing() {
    let openflow = Message::read(&bytes("01 0b 0008 00000000"), 8, Message::UNKNOWN);
    let modbus = bytes("0001 0000 0006 01 03 0000 0001");
    assert_eq!(Message::read(&modbus, 12, openflow).meaning, Meaning::Unknown);
    let quit = bytes("'QUIT\\r\\n'");
    assert_eq!(Message::read(&quit, 6, openflow).meaning, Meaning::Farewell);
}

#[test]
fn a_burst_is_as_demanding_as_its_most_demanding_message() {
    let publish = bytes("30 07 0003 'a/b' 'hi'");
    let mut message = Message::read(&publish, 9, Message::UNKNOWN);
    message.go_on(&bytes("e000"), 2);
    assert_eq!(message.meaning, Meaning::OneWay);
    message.go_on(&bytes("82 07 0001 0002 'a/' 00"), 9);
    assert_eq!(message.meaning, Meaning::Request);
    let mut goodbye = Message::read(&bytes("e000"), 2, Message::UNKNOWN);
    goodbye.go_on(&bytes("ffffff"), 3);
    assert_eq!(goodbye.meaning, Meaning::Unknown);
}

#[test]
fn text_that_is_no_command_means_nothing() {
    for text in [
        "hello\n",
        "quitting time\r\n",
        "QUIT the club\r\n",
        "logout",
        "exit strategy\n",
        "QUI",
        "x LOGOUT now\r\n",
    ] {
        assert_eq!(read(text.as_bytes()).0, Meaning::Unknown, "{text}");
    }
}

proptest! {
    /// Bytes that nobody chose are hardly ever a goodbye, and never a crash.
    #[test]
    fn any_bytes_can_be_read(payload in prop::collection::vec(any::<u8>(), 0..200), beyond in 0_u32..2_000) {
        let message = Message::read(&payload, payload.len() as u32 + beyond, Message::UNKNOWN);
        prop_assert!(message.protocol().is_some() || message.meaning == Meaning::Unknown);
        if payload.len() >= 12 && beyond > 0 {
            prop_assert_ne!(message.meaning, Meaning::Farewell);
        }
    }

    /// A farewell with one byte changed is another message of the same kind, or is not taken for one of a request's length.
    #[test]
    fn one_wrong_byte_reads_without_a_crash(which in 0..FAREWELLS.len(), at in any::<prop::sample::Index>(), value: u8) {
        let mut payload = bytes(FAREWELLS[which].1);
        let at = at.index(payload.len());
        payload[at] = value;
        let _ = read(&payload);
    }
}

#[test]
fn what_a_server_says_before_it_closes_is_no_answer() {
    for text in [
        "'E' 00000021 'SFATAL\\0C57P05\\0Midle session\\0\\0'",
        "17000000 ff bf0f '#HY000timed out by server'",
        "'421 idle\\r\\n'",
    ] {
        assert!(server_says_goodbye(&bytes(text)), "{text}");
    }
    for text in [
        "'E' 00000021 'SERROR\\0C42P01\\0Mno such table\\0\\0'",
        "17000001 ff 7a04 '#42S02Table is missing!'",
        "'250 ok\\r\\n'",
    ] {
        assert!(!server_says_goodbye(&bytes(text)), "{text}");
    }
}
