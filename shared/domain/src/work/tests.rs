use super::*;

fn order(causes: usize, wave: Option<Wave>) -> Order {
    let cause = |number| Cause { producer: workspace(number), outputs: ["id".to_owned()].into() };
    Order {
        inputs: InputsKey("00112233445566778899aabbccddeeff".parse().unwrap()),
        marker: Marker("sluice-0011223344556677".into()),
        causes: (0..causes).map(cause).collect(),
        kind: RunKind::Apply,
        wave,
        newest: Timestamp(0),
        decided_at: Timestamp(0),
    }
}

/// A workspace with a name as long as HCP Terraform lets them be.
fn workspace(number: usize) -> Workspace {
    format!("app.terraform.io/{}/{number}{}", "o".repeat(40), "n".repeat(89)).parse().unwrap()
}

fn wave(trace: Option<Trace>) -> Wave {
    Wave { root: workspace(0), origin: "sv-1".parse().unwrap(), depth: 1, trace, began_at: None }
}

#[test]
fn a_marker_is_found_at_the_end_of_our_own_messages_only() {
    let trace = Trace::of_run(&"app.terraform.io".parse().unwrap(), &"run-1".parse().unwrap());
    for causes in [0, 1, 5, 60] {
        for traced in [None, Some(wave(Some(trace.clone()))), Some(wave(None))] {
            let order = order(causes, traced);
            assert_eq!(Marker::in_message(&order.message()), Some(order.marker.clone()), "{}", order.message());
            assert_eq!(Trace::in_message(&order.message()), order.trace(), "{}", order.message());
        }
    }
    for message in [
        "",
        "]",
        "[sluice-]",
        "[sluice-00112233445566778]",
        "about [sluice-0011223344556677] and more",
        "[trace 0123456789abcdef]",
        "[sluice-0011223344556677] [trace 0123456789abcdef]",
    ] {
        assert_eq!(Marker::in_message(message), None, "{message}");
    }
}

#[test]
fn a_wave_from_before_waves_had_a_trace_is_read_and_has_one_all_the_same() {
    let old = r#"{"root":"app.terraform.io/acme/network","origin":"sv-1","depth":2}"#;
    let wave: Wave = serde_json::from_str(old).unwrap();
    assert_eq!((&wave.trace, wave.began_at), (&None, None));
    assert_eq!(serde_json::to_string(&wave).unwrap(), old);
    assert_eq!(wave.trace(), Trace::of_state(&"app.terraform.io".parse().unwrap(), &"sv-1".parse().unwrap()));
}
