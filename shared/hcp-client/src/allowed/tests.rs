use super::*;

fn allowed(text: &str) -> Allowed {
    text.parse().unwrap()
}

#[track_caller]
fn check(reached: bool, addresses: &str) {
    for address in addresses.split(' ') {
        assert_eq!(Allowed::default().reaches(address.parse().unwrap()), reached, "{address}");
    }
}

#[test]
fn only_public_addresses_may_be_connected_to() {
    // Up to the very edges of what is not public.
    check(
        true,
        "1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 \
        169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 198.17.255.255 \
        198.20.0.0 223.255.255.255 2600:1f18::1 2001:200::1 2a00:1450:4001::1",
    );
    check(
        false,
        "0.0.0.0 0.1.2.3 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.1 \
        127.255.255.255 168.63.129.16 169.254.0.0 169.254.169.254 169.254.170.2 172.16.0.0 172.31.255.255 \
        192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.0 198.19.255.255 198.51.100.1 \
        203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::1.1.1.1 \
        ::ffff:0:1.1.1.1 100::1 64:ff9b:1::1 2001::1 2001:2::1 2001:10::1 2001:1ff::1 2001:db8::1 3fff::1 \
        3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fdff::1 fe80::1 febf::1 fec0::1 ff02::1",
    );
}

#[test]
fn an_address_that_stands_for_another_is_as_public_as_that() {
    check(true, "::ffff:1.1.1.1 64:ff9b::1.1.1.1 2002:101:101::1");
    check(
        false,
        "::ffff:127.0.0.1 ::ffff:169.254.169.254 64:ff9b::169.254.169.254 64:ff9b::10.0.0.1 2002:7f00:1::1 \
        2002:a9fe:a9fe::1 2002:c0a8:1::",
    );
}

#[test]
fn a_listed_network_may_be_connected_to() {
    let allowed = allowed(" 10.1.0.0/16, 10.2.3.4,fd12:3456::/32 , [fd00::7], 192.168.1.77/24 ");
    for (address, expect) in [
        ("10.1.0.0", true),
        ("10.1.255.255", true),
        ("10.2.0.0", false),
        ("10.2.3.4", true),
        ("10.2.3.5", false),
        ("192.168.1.1", true),
        ("192.168.2.1", false),
        ("fd12:3456::9", true),
        ("fd12:3457::9", false),
        ("fd00::7", true),
        ("fd00::8", false),
        ("::ffff:10.1.2.3", true),
        ("::ffff:10.3.2.3", false),
        ("64:ff9b::10.1.2.3", true),
        ("64:ff9b::10.3.2.3", false),
        ("8.8.8.8", true),
    ] {
        assert_eq!(allowed.reaches(address.parse().unwrap()), expect, "{address}");
    }
    assert!(!allowed.lists("8.8.8.8".parse().unwrap()), "public, not listed");
}

#[test]
fn a_name_is_allowed_by_itself_or_by_what_it_ends_in() {
    let allowed = allowed("OPA.internal,*.checks.internal., localhost,*.b.example");
    for (name, expect) in [
        ("opa.internal", true),
        ("OPA.INTERNAL", true),
        ("opa.internal.", true),
        ("x.opa.internal", false),
        ("opa.internal.evil.example", false),
        ("notopa.internal", false),
        ("a.checks.internal", true),
        ("a.b.checks.internal.", true),
        ("checks.internal", false),
        ("evilchecks.internal", false),
        ("localhost", true),
        ("", false),
        (".", false),
        ("a.b.example", true),
        ("a.example", false),
    ] {
        assert_eq!(allowed.has_name(name), expect, "{name:?}");
    }
}

#[test]
fn an_entry_that_is_none_is_named_by_its_place() {
    for (text, expect) in [
        ("", Ok(())),
        (" , ,", Ok(())),
        ("opa.internal", Ok(())),
        ("*", Err(1)),
        ("*.", Err(1)),
        ("a,*.*.internal", Err(2)),
        ("a, ,b*.internal", Err(2)),
        ("10.0.0.0/33", Err(1)),
        ("10.0.0/8", Err(1)),
        ("https://opa.internal", Err(1)),
        ("opa.internal:8080", Err(1)),
        ("opa.internal/x", Err(1)),
        ("opa internal", Err(1)),
        ("jo@opa.internal", Err(1)),
        ("0x7f.1", Err(1)),
        ("::1/129", Err(1)),
    ] {
        let read = text.parse::<Allowed>().map(drop).map_err(|invalid| invalid.entry);
        assert_eq!(read, expect, "{text:?}");
    }
}
