//! Tokens whose signer is known beforehand and need not bring its certificate.

use super::*;

/// What comes of a token that brings these certificates, where others are known.
fn verified(
    authority: &Authority,
    brought: &[&Certificate],
    known: &[&Certificate],
) -> Result<Timestamp, Error> {
    let mut draft = authority.draft(MESSAGE, now());
    draft.certificates = brought.iter().map(|c| (*c).clone()).collect();
    let known: Vec<Certificate> = known.iter().map(|c| (*c).clone()).collect();
    Token::parse(&draft.token())?.verify_with(
        MESSAGE,
        std::slice::from_ref(&authority.root),
        &known,
        &mut Checks::default(),
    )
}

#[test]
fn what_a_token_does_not_bring_may_be_known() {
    let authority = Authority::new();
    let (leaf, middle) = (&authority.leaf, &authority.middle);
    let whole = [leaf.clone(), middle.clone(), authority.root.clone()];
    for (brought, known) in [
        (&[][..], &[leaf, middle][..]),
        (&[], &[middle, leaf]),
        (&[leaf], &[middle]),
        (&[middle], &[leaf]),
        (&[leaf, middle], &[]),
        (&[leaf, middle], &[leaf, middle]),
    ] {
        assert_eq!(verified(&authority, brought, known).unwrap().chain(), whole);
    }
    for known in [&[][..], &[middle]] {
        assert_eq!(verified(&authority, &[], known).unwrap_err(), Error::SignerAbsent);
    }
    let error = verified(&authority, &[], &[leaf]).unwrap_err();
    assert!(matches!(error, Error::Chain(chain::Error::Untrusted { .. })), "{error}");
}

#[test]
fn to_be_known_is_not_to_be_trusted() {
    let authority = Authority::new();
    let token = Token::parse(&authority.stamp(MESSAGE, now())).unwrap();
    let known = [authority.leaf.clone(), authority.middle.clone(), authority.root.clone()];
    for anchors in [vec![], vec![Authority::new().root]] {
        let error = token.verify_with(MESSAGE, &anchors, &known, &mut Checks::default()).unwrap_err();
        assert!(matches!(error, Error::Chain(chain::Error::Untrusted { .. })), "{error}");
    }
    let error = token.verify_with(b"massage", &[authority.root], &known, &mut Checks::default()).unwrap_err();
    assert_eq!(error, Error::OtherMessage);
}

#[test]
fn a_known_signer_is_bound_like_one_that_is_brought() {
    // Names and serial numbers are the same, the keys are not.
    let twin = || {
        Authority::with(|role, params| {
            params.serial_number = (role == Role::Leaf).then(|| 7u64.into());
        })
    };
    let (authority, other) = (twin(), twin());
    assert_eq!(issuer_and_serial(&authority.leaf), issuer_and_serial(&other.leaf));
    let error = verified(&authority, &[], &[&other.leaf, &authority.middle]).unwrap_err();
    assert_eq!(error, Error::Attributes { why: "they name another signing certificate" });
    // Among those that the identifier fits, the attributes decide.
    let known = [&other.leaf, &authority.leaf, &other.middle, &authority.middle];
    let timestamp = verified(&authority, &[], &known).unwrap();
    assert_eq!(timestamp.chain()[0], authority.leaf);
    // A stranger's certificate fits no identifier.
    let stranger = Authority::new();
    let error = verified(&authority, &[], &[&stranger.leaf, &stranger.middle]).unwrap_err();
    assert_eq!(error, Error::SignerAbsent);
}

#[test]
fn a_known_signer_stamps_within_its_validity_and_for_its_purpose() {
    let expired = Authority::with(|role, params| {
        if role == Role::Leaf {
            params.not_after = rcgen::date_time_ymd(2026, 1, 1);
        }
    });
    let error = verified(&expired, &[], &[&expired.leaf, &expired.middle]).unwrap_err();
    assert!(matches!(error, Error::Chain(chain::Error::Expired { .. })), "{error}");
    let signing = Authority::with(|role, params| {
        if role == Role::Leaf {
            params.custom_extensions = vec![extended_key_usage(&[ExtendedKeyUsage::CODE_SIGNING], true)];
        }
    });
    let why = verified(&signing, &[], &[&signing.leaf, &signing.middle]).unwrap_err().to_string();
    assert!(why.contains("not timeStamping alone"), "{why}");
}

#[test]
fn a_response_brings_the_token_that_it_grants() {
    let authority = Authority::new();
    let token = authority.stamp(MESSAGE, now());
    let verify = |response: &[Vec<u8>]| {
        Token::from_response(&sequence(response))?.verify(MESSAGE, std::slice::from_ref(&authority.root))
    };
    let status = |number| sequence(&[integer(number)]);
    let text = sequence(&[integer(1), sequence(&[tlv(0x0c, &[b"as you wish".to_vec()])])]);
    for granted in [status(0), status(1), text] {
        assert!(verify(&[granted, token.clone()]).is_ok());
    }
    for refused in [2, 3, 4, 5, 0xff] {
        let why = verify(&[status(refused), token.clone()]).unwrap_err().to_string();
        assert!(why.contains("granted none"), "{why}");
    }
    for wrong in [vec![status(0)], vec![status(0), token.clone(), integer(0)], vec![token.clone()], vec![]] {
        assert!(verify(&wrong).is_err());
    }
    let followed = [sequence(&[status(0), token.clone()]), vec![5, 0]].concat();
    assert!(Token::from_response(&followed).is_err());
    assert!(Token::from_response(&token).is_err(), "a bare token is no response");
}
