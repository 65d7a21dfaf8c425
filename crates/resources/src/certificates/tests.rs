use jiff::ToSpan;
use rustls_pki_types::ServerName;

use super::*;

fn names() -> BTreeSet<String> {
    ["r", "r.ns", "r.ns.svc", "r.ns.svc.cluster.local"]
        .map(String::from)
        .into()
}

fn start() -> Timestamp {
    "2031-02-28T23:59:59.5Z".parse().unwrap()
}

/// What a TLS client does: the leaf in `secret` against the `bundle`, for every name.
fn verifies(secret: &SecretData, bundle: &str, at: Timestamp) -> Result<(), webpki::Error> {
    let der = CertificateDer::from_pem_slice(&secret[CERTIFICATE].0).unwrap();
    let leaf = EndEntityCert::try_from(&der)?;
    let authorities: Vec<_> = CertificateDer::pem_slice_iter(bundle.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let anchors: Vec<_> = authorities
        .iter()
        .map(|a| anchor_from_trusted_cert(a).unwrap())
        .collect();
    let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        at.as_second().unsigned_abs(),
    ));
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &[],
        time,
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    for name in names() {
        leaf.verify_is_valid_for_subject_name(&ServerName::try_from(name).unwrap())?;
    }
    Ok(())
}

/// Three years in steps of six hours, with a pass whenever one is due and `late` after it.
fn live(late: SignedDuration) -> (usize, Vec<Serving>) {
    let mut history: Vec<(Timestamp, Serving)> = Vec::new();
    let mut state = advance(None, &names(), start(), &Fresh).unwrap();
    let mut issues = 1;
    let end = after(start(), VALIDITY * 3);
    let mut now = start();
    while now < end {
        if now >= after(state.due, late) {
            let following = advance(Some(&state.secret), &names(), now, &Fresh).unwrap();
            assert_ne!(following, state, "due at {now}, and nothing changed");
            issues += usize::from(following.secret.contains_key(NEXT_CERTIFICATE));
            state = following;
        }
        assert!(state.due > now || late > SignedDuration::ZERO);
        history.push((now, state.clone()));
        let fetched = after(now, -OVERLAP);
        for (_, old) in history
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= fetched)
            .step_by(2)
        {
            verifies(&state.secret, &old.bundle, now).unwrap_or_else(|e| panic!("{e} at {now}"));
            // A pod that has not yet seen the newest Secret, a client that has the newest bundle.
            verifies(&old.secret, &state.bundle, now)
                .unwrap_or_else(|e| panic!("old pod: {e} at {now}"));
        }
        now = after(now, SignedDuration::from_hours(6));
    }
    let mut states: Vec<_> = history.into_iter().map(|(_, state)| state).collect();
    states.dedup();
    (issues, states)
}

#[test]
fn clients_with_an_old_bundle_verify_at_every_moment_of_three_years() {
    let (issues, states) = live(SignedDuration::ZERO);
    // A fresh one, and one every two thirds of a year.
    assert_eq!(issues, 5);
    assert!(
        states
            .iter()
            .all(|s| (1..=3).contains(&s.bundle.matches(BEGIN).count()))
    );
    assert!(states.last().unwrap().bundle.matches(BEGIN).count() < 3);
}

#[test]
fn an_operator_that_is_away_for_six_weeks_at_a_time_breaks_nothing() {
    let (issues, _) = live(SignedDuration::from_hours(24 * 42));
    assert!(issues >= 3);
}

#[test]
fn nothing_changes_while_nothing_is_due() {
    let first = advance(None, &names(), start(), &Fresh).unwrap();
    assert_eq!(
        first.secret.keys().collect::<Vec<_>>(),
        [AUTHORITIES, CERTIFICATE, PRIVATE_KEY]
    );
    let just_before = first.due - 1.second();
    assert_eq!(
        advance(Some(&first.secret), &names(), just_before, &Fresh).unwrap(),
        first
    );

    let second = advance(Some(&first.secret), &names(), first.due, &Fresh).unwrap();
    assert_eq!(second.secret[CERTIFICATE], first.secret[CERTIFICATE]);
    assert!(second.secret.contains_key(NEXT_CERTIFICATE));
    assert_eq!(second.bundle.matches(BEGIN).count(), 2);
    assert_eq!(
        advance(
            Some(&second.secret),
            &names(),
            second.due - 1.second(),
            &Fresh
        )
        .unwrap(),
        second
    );

    let third = advance(Some(&second.secret), &names(), second.due, &Fresh).unwrap();
    assert_eq!(third.secret[CERTIFICATE], second.secret[NEXT_CERTIFICATE]);
    assert!(!third.secret.contains_key(NEXT_CERTIFICATE));
    assert_eq!(
        third.bundle.matches(BEGIN).count(),
        2,
        "pods may still serve the leaf before"
    );

    let fourth = advance(Some(&third.secret), &names(), third.due, &Fresh).unwrap();
    assert_eq!(fourth.bundle.matches(BEGIN).count(), 1);
    assert_eq!(fourth.secret[CERTIFICATE], third.secret[CERTIFICATE]);
}

#[test]
fn other_names_are_served_at_once_and_the_old_authority_stays_trusted() {
    let first = advance(None, &["old".to_owned()].into(), start(), &Fresh).unwrap();
    let second = advance(Some(&first.secret), &names(), start(), &Fresh).unwrap();
    verifies(&second.secret, &second.bundle, start()).unwrap();
    assert!(second.bundle.contains(&first.bundle));
    assert_eq!(
        advance(Some(&second.secret), &names(), start(), &Fresh).unwrap(),
        second
    );
}

#[test]
fn an_expired_certificate_is_replaced_and_its_authority_dropped() {
    let first = advance(None, &names(), start(), &Fresh).unwrap();
    let late = after(start(), VALIDITY * 2);
    let second = advance(Some(&first.secret), &names(), late, &Fresh).unwrap();
    verifies(&second.secret, &second.bundle, late).unwrap();
    assert_eq!(second.bundle.matches(BEGIN).count(), 1);
}

#[test]
fn the_next_certificate_steps_in_when_the_one_in_use_is_damaged() {
    let first = advance(None, &names(), start(), &Fresh).unwrap();
    let mut second = advance(Some(&first.secret), &names(), first.due, &Fresh)
        .unwrap()
        .secret;
    second.insert(PRIVATE_KEY.into(), first.secret[CERTIFICATE].clone());
    let third = advance(Some(&second), &names(), first.due, &Fresh).unwrap();
    assert_eq!(third.secret[CERTIFICATE], second[NEXT_CERTIFICATE]);
    verifies(&third.secret, &first.bundle, first.due).unwrap_err();
    verifies(&third.secret, &third.bundle, first.due).unwrap();
}

#[test]
fn a_key_or_an_authority_of_another_certificate_is_not_used() {
    let one = advance(None, &names(), start(), &Fresh).unwrap().secret;
    let other = advance(None, &names(), start(), &Fresh).unwrap().secret;
    for key in [PRIVATE_KEY, CERTIFICATE, AUTHORITIES] {
        let mut mixed = one.clone();
        mixed.insert(key.into(), other[key].clone());
        let state = advance(Some(&mixed), &names(), start(), &Fresh).unwrap();
        verifies(&state.secret, &state.bundle, start()).unwrap();
        assert_ne!(state.secret[CERTIFICATE], mixed[CERTIFICATE], "{key}");
    }
}

#[test]
fn damage_at_any_place_gives_a_state_that_verifies() {
    let whole = advance(None, &names(), start(), &Fresh).unwrap().secret;
    for key in [CERTIFICATE, PRIVATE_KEY, AUTHORITIES] {
        let length = whole[key].0.len();
        for place in (0..length).step_by(11) {
            for cut in [true, false] {
                let mut damaged = whole.clone();
                let bytes = &mut damaged.get_mut(key).unwrap().0;
                if cut {
                    bytes.truncate(place);
                } else {
                    bytes[place] ^= 0x5a;
                }
                let state = advance(Some(&damaged), &names(), start(), &Fresh).unwrap();
                verifies(&state.secret, &state.bundle, start())
                    .unwrap_or_else(|e| panic!("{key} damaged at {place}: {e}"));
            }
        }
    }
}

#[test]
fn no_bytes_make_the_reader_of_dates_panic() {
    let whole = advance(None, &names(), start(), &Fresh).unwrap().secret;
    let der = CertificateDer::from_pem_slice(&whole[CERTIFICATE].0)
        .unwrap()
        .to_vec();
    let validity = Validity::of(&der).unwrap();
    assert_eq!(validity.from, "2031-02-28T22:59:59Z".parse().unwrap());
    assert_eq!(validity.until, "2032-02-28T23:59:59Z".parse().unwrap());
    for place in 0..der.len() {
        assert_eq!(Validity::of(&der[..place.min(60)]), None);
        for value in [0, 0x17, 0x30, 0x7f, 0x80, 0x84, 0xff] {
            let mut damaged = der.clone();
            damaged[place] = value;
            let _ = Validity::of(&damaged);
        }
    }
}

#[test]
fn a_name_that_no_certificate_can_hold_is_an_error_that_names_it() {
    let error = advance(None, &["rägistry".to_owned()].into(), start(), &Fresh).unwrap_err();
    assert!(error.to_string().contains("rägistry"), "{error}");
}
