#![allow(clippy::indexing_slicing)]

mod genuine;
mod known;

use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use rcgen::KeyUsagePurpose;

use super::testing::*;
use super::*;

const MESSAGE: &[u8] = b"message";

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What comes of a draft of an authority by the rules, once changed.
fn stamped(change: impl FnOnce(&mut Draft<'_>, &Authority)) -> Result<Timestamp, Error> {
    by(&Authority::new(), change)
}

fn by(authority: &Authority, change: impl FnOnce(&mut Draft<'_>, &Authority)) -> Result<Timestamp, Error> {
    let mut draft = authority.draft(MESSAGE, now());
    change(&mut draft, authority);
    Token::parse(&draft.token())?.verify(MESSAGE, std::slice::from_ref(&authority.root))
}

/// Why a changed draft is refused.
fn refusal(change: impl FnOnce(&mut Draft<'_>, &Authority)) -> String {
    stamped(change).unwrap_err().to_string()
}

#[test]
fn a_token_by_the_rules_is_believed() {
    let authority = Authority::new();
    let timestamp = by(&authority, |_, _| {}).unwrap();
    assert_eq!(timestamp.at(), now());
    assert_eq!((timestamp.earliest(), timestamp.latest()), (now(), now()));
    assert_eq!(timestamp.chain(), [authority.leaf.clone(), authority.middle.clone(), authority.root.clone()]);
    assert_eq!(timestamp.binding(), Binding::V2);
    assert_eq!((timestamp.policy(), timestamp.serial()), ("1.3.6.1.4.1.57264.2", &[7][..]));
}

#[test]
fn it_is_about_one_message_and_ends_at_an_anchor() {
    let authority = Authority::new();
    let token = Token::parse(&authority.stamp(MESSAGE, now())).unwrap();
    let anchors = [authority.root.clone()];
    assert!(token.verify(MESSAGE, &anchors).is_ok());
    assert_eq!(token.verify(b"massage", &anchors).unwrap_err(), Error::OtherMessage);
    for anchors in [vec![], vec![Authority::new().root]] {
        let error = token.verify(MESSAGE, &anchors).unwrap_err();
        assert!(matches!(error, Error::Chain(chain::Error::Untrusted { .. })), "{error}");
    }
}

#[test]
fn the_chain_must_be_valid_at_the_time_of_the_token() {
    for role in [Role::Root, Role::Middle, Role::Leaf] {
        let authority = Authority::with(|which, params| {
            if which == role {
                params.not_before = rcgen::date_time_ymd(2025, 1, 1);
                params.not_after = rcgen::date_time_ymd(2026, 1, 1);
            }
        });
        let stamped = |year: &str| by(&authority, |d, _| d.time = format!("{year}0601000000Z"));
        assert!(stamped("2025").is_ok(), "{role:?}");
        assert!(matches!(stamped("2026"), Err(Error::Chain(chain::Error::Expired { .. }))), "{role:?}");
        assert!(matches!(stamped("2024"), Err(Error::Chain(chain::Error::NotYetValid { .. }))), "{role:?}");
    }
}

#[test]
fn the_certificate_is_for_timestamps_alone() {
    let with = |extensions: Vec<rcgen::CustomExtension>| {
        let authority = Authority::with(|role, params| {
            if role == Role::Leaf {
                params.custom_extensions.clone_from(&extensions);
            }
        });
        by(&authority, |_, _| {}).unwrap_err().to_string()
    };
    let stamping = ExtendedKeyUsage::TIME_STAMPING;
    assert!(with(vec![]).contains("no extended key usage"));
    assert!(with(vec![extended_key_usage(&[stamping], false)]).contains("not critical"));
    let signing = ExtendedKeyUsage::CODE_SIGNING;
    for others in [&[stamping, signing][..], &[ExtendedKeyUsage::ANY], &[stamping, "1.2.3"]] {
        let why = with(vec![extended_key_usage(others, true)]);
        assert!(why.contains("not timeStamping alone"), "{others:?}: {why}");
    }
}

#[test]
fn authorities_for_other_purposes_do_not_count() {
    for limited in [Role::Middle, Role::Root] {
        let by_purpose = |purpose| {
            let authority = Authority::with(|role, params| {
                if role == limited {
                    params.custom_extensions = vec![extended_key_usage(&[purpose], false)];
                }
            });
            by(&authority, |_, _| {})
        };
        let why = by_purpose(ExtendedKeyUsage::SERVER_AUTH).unwrap_err().to_string();
        assert!(why.contains("other things than timeStamping"), "{limited:?}: {why}");
        assert!(by_purpose(ExtendedKeyUsage::TIME_STAMPING).is_ok());
        assert!(by_purpose(ExtendedKeyUsage::ANY).is_ok());
    }
}

#[test]
fn authorities_in_between_must_be_authorities() {
    let authority = Authority::with(|role, params| {
        if role == Role::Middle {
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        }
    });
    assert!(by(&authority, |_, _| {}).unwrap_err().to_string().contains("keyCertSign"));
}

#[test]
fn the_signed_attributes_bind_the_certificate() {
    let other = Authority::new().leaf;
    assert!(refusal(|d, _| d.without(SIGNING_CERTIFICATE_V2)).contains("name no signing certificate"));
    assert!(refusal(|d, _| d.stating(SIGNING_CERTIFICATE_V2, ess_v2(&other))).contains("another signing"));
    // The older one alone will do here, but not where it disagrees.
    let v1 = stamped(|d, a| {
        d.without(SIGNING_CERTIFICATE_V2);
        d.stating(SIGNING_CERTIFICATE, ess_v1(&a.leaf));
    });
    assert_eq!(v1.unwrap().binding(), Binding::V1);
    let both = stamped(|d, a| d.stating(SIGNING_CERTIFICATE, ess_v1(&a.leaf)));
    assert_eq!(both.unwrap().binding(), Binding::V2);
    assert!(refusal(|d, _| d.stating(SIGNING_CERTIFICATE, ess_v1(&other))).contains("another signing"));
}

#[test]
fn an_issuer_and_serial_that_stand_there_must_be_the_certificates() {
    let with = |issuer_serial: fn(&Authority) -> Vec<u8>| {
        stamped(|d, a| {
            let digest = tlv(0x04, &[digest(super::super::Hash::Sha256, a.leaf.der())]);
            let id = sequence(&[digest, issuer_serial(a)]);
            d.stating(SIGNING_CERTIFICATE_V2, sequence(&[sequence(&[id])]));
        })
    };
    assert!(with(|_| Vec::new()).is_ok());
    assert!(with(|a| issuer_serial(&a.leaf)).is_ok());
    let why = with(|a| issuer_serial(&a.middle)).unwrap_err().to_string();
    assert!(why.contains("another signing"), "{why}");
}

#[test]
fn the_hash_of_the_certificate_may_be_stated() {
    let with = |hash: &'static str| {
        stamped(move |d, a| {
            let id =
                sequence(&[algorithm(hash), tlv(0x04, &[digest(super::super::Hash::Sha256, a.leaf.der())])]);
            d.stating(SIGNING_CERTIFICATE_V2, sequence(&[sequence(&[id])]));
        })
    };
    assert!(with(SHA256).is_ok());
    assert!(with("2.16.840.1.101.3.4.2.2").is_err(), "SHA-384 is not what the digest is");
    assert!(matches!(with("1.3.14.3.2.26"), Err(Error::Unreadable(super::super::Error::Unsupported { .. }))));
}

#[test]
fn the_signed_attributes_bind_the_content() {
    assert!(refusal(|d, _| d.without(MESSAGE_DIGEST)).contains("lack the message digest"));
    assert!(refusal(|d, _| d.without(CONTENT_TYPE)).contains("lack the content type"));
    assert!(refusal(|d, _| d.attributes.clear()).contains("no signed attributes"));
    let data = "1.2.840.113549.1.7.1";
    assert!(refusal(|d, _| d.stating(CONTENT_TYPE, oid(data))).contains("another content type"));
    let wrong = tlv(0x04, &[vec![1; 32]]);
    assert!(refusal(|d, _| d.stating(MESSAGE_DIGEST, wrong)).contains("message digest is not"));
    assert!(refusal(|d, _| d.in_order = false).contains("not in order"));
}

#[test]
fn each_attribute_stands_there_once_with_one_value() {
    let wrong = tlv(0x04, &[vec![1; 32]]);
    let other = Authority::new().leaf;
    assert!(refusal(|d, _| d.attributes.push((MESSAGE_DIGEST, wrong))).contains("twice"));
    assert!(refusal(|d, _| d.attributes.push((CONTENT_TYPE, oid("1.2.3")))).contains("twice"));
    assert!(refusal(|d, _| d.attributes.push((SIGNING_CERTIFICATE_V2, ess_v2(&other)))).contains("twice"));
    let followed = |kind, value: fn(&Authority) -> Vec<u8>| {
        stamped(|d, a| d.stating(kind, [value(a), integer(1)].concat())).unwrap_err()
    };
    for error in [
        followed(CONTENT_TYPE, |_| oid(TST_INFO)),
        followed(SIGNING_CERTIFICATE, |a| ess_v1(&a.leaf)),
        followed(SIGNING_CERTIFICATE_V2, |a| ess_v2(&a.leaf)),
    ] {
        assert!(matches!(error, Error::Unreadable(_)), "{error}");
    }
}

#[test]
fn other_attributes_are_passed_over_within_bounds() {
    let signing_time = ("1.2.840.113549.1.9.5", tlv(0x17, &[b"260101000000Z".to_vec()]));
    assert!(stamped(|d, _| d.attributes.push(signing_time)).is_ok());
    let why = refusal(|d, _| d.attributes.extend((0..30).map(|n| ("1.2.3", integer(n)))));
    assert!(why.contains("more than 32 signed attributes"), "{why}");
}

#[test]
fn exactly_one_signer_of_known_shape() {
    assert!(refusal(|d, _| d.signers = 2).contains("more than one signer"));
    assert!(stamped(|d, _| d.signers = 0).is_err());
    assert!(refusal(|d, _| d.data_version = 1).contains("version"));
    assert!(refusal(|d, _| d.signer_version = 3).contains("version"));
    assert!(refusal(|d, _| d.content_type = "1.2.840.113549.1.7.1").contains("no TSTInfo"));
    assert!(refusal(|d, _| d.listed.push(algorithm("2.16.840.1.101.3.4.2.2"))).contains("lists more"));
    assert!(refusal(|d, _| d.listed = vec![algorithm("2.16.840.1.101.3.4.2.2")]).contains("another hash"));
}

#[test]
fn the_signer_is_found_by_name_or_by_key() {
    assert_eq!(refusal(|d, a| d.signer_id = issuer_and_serial(&a.middle)), {
        // The middle's own certificate is there, but it is not what the attributes name.
        Error::Attributes { why: "they name another signing certificate" }.to_string()
    });
    let absent = stamped(|d, _| {
        d.certificates.remove(0);
    });
    assert_eq!(absent.unwrap_err(), Error::SignerAbsent);
    assert_eq!(stamped(|d, a| d.signer_id = issuer_and_serial(&a.root)).unwrap_err(), Error::SignerAbsent);
    // Genuine tokens that name the key are among those of OpenSSL.
    let by_key = stamped(|d, _| {
        d.signer_version = 3;
        d.signer_id = tlv(0x80, &[vec![1, 2, 3]]);
    });
    assert_eq!(by_key.unwrap_err(), Error::SignerAbsent);
}

#[test]
fn only_sound_algorithms() {
    let unsupported = |change: fn(&mut Draft<'_>, &Authority)| {
        let error = stamped(change).unwrap_err();
        assert!(matches!(error, Error::Unreadable(super::super::Error::Unsupported { .. })), "{error}");
    };
    unsupported(|d, _| d.imprint = imprint("1.3.14.3.2.26", &[0; 20]));
    unsupported(|d, _| d.hash = algorithm("1.3.14.3.2.26"));
    unsupported(|d, _| d.algorithm = algorithm("1.2.840.10045.4.1"));
    unsupported(|d, _| d.algorithm = algorithm("1.3.101.112"));
    // Those that are sound but another's do not verify.
    for other in ["1.2.840.113549.1.1.1", "1.2.840.113549.1.1.11", "1.2.840.10045.4.3.3"] {
        let error = stamped(|d, _| d.algorithm = algorithm(other)).unwrap_err();
        assert!(matches!(error, Error::BadSignature { .. }), "{other}: {error}");
    }
    let with = |parameters: Vec<u8>| stamped(|d, _| d.algorithm = sequence(&[oid(ECDSA_SHA256), parameters]));
    assert!(with(tlv(0x05, &[])).is_ok());
    assert!(with(integer(1)).is_err());
}

#[test]
fn an_imprint_of_the_wrong_length_is_anothers() {
    assert_eq!(stamped(|d, _| d.imprint = imprint(SHA256, &[])).unwrap_err(), Error::OtherMessage);
}

#[test]
fn times_have_one_form() {
    let at = |time: &str| stamped(|d, _| d.time = time.to_owned()).map(|t| t.at());
    let whole = UNIX_EPOCH + Duration::from_secs(1_798_761_599);
    assert_eq!(at("20261231235959Z").unwrap(), whole);
    assert_eq!(at("20261231235959.5Z").unwrap(), whole + Duration::from_millis(500));
    assert_eq!(at("20261231235959.000000001Z").unwrap(), whole + Duration::from_nanos(1));
    assert_eq!(at("20240229000000Z").unwrap(), UNIX_EPOCH + Duration::from_secs(1_709_164_800));
    for wrong in [
        "20261231235959",
        "20261231235959+0000",
        "20261231235959.Z",
        "20261231235959.50Z",
        "20261231235959.0Z",
        "20261231235959.1234567891Z",
        "20261231235959,5Z",
        "20261231235959.5.5Z",
        "20261231235959.-5Z",
        "20261231235959.+5Z",
        "202612312359Z",
        "2026123123595Z",
        "261231235959Z",
        "20261331235959Z",
        "20260229000000Z",
        "20261231245959Z",
        "20261231235960Z",
        "+0261231235959Z",
        "2026123123595 Z",
        "20261231235959z",
        "２０２６１",
        "Z",
        "",
    ] {
        let why = at(wrong).unwrap_err().to_string();
        assert!(why.contains("not one that RFC 3161 allows"), "{wrong}: {why}");
    }
}

#[test]
fn accuracy_widens_the_interval_both_ways() {
    let (seconds, millis, micros) = (integer(1), tlv(0x80, &[vec![1, 0xf4]]), tlv(0x81, &[vec![100]]));
    let all = sequence(&[seconds.clone(), millis, micros.clone()]);
    let timestamp = stamped(|d, _| d.rest = all).unwrap();
    assert_eq!(timestamp.accuracy(), Duration::from_micros(1_500_100));
    assert_eq!(timestamp.earliest(), now() - Duration::from_micros(1_500_100));
    assert_eq!(timestamp.latest(), now() + Duration::from_micros(1_500_100));
    let accuracy = |policy, parts: Vec<Vec<u8>>| {
        let made = stamped(|d, _| {
            d.policy = policy;
            d.rest = parts.concat();
        });
        made.unwrap().accuracy()
    };
    let (own, baseline) = ("1.2.3", "0.4.0.2023.1.1");
    assert_eq!(accuracy(own, vec![]), Duration::ZERO);
    assert_eq!(accuracy(baseline, vec![]), Duration::from_secs(1));
    assert_eq!(accuracy(baseline, vec![sequence(&[])]), Duration::from_secs(1));
    assert_eq!(accuracy(baseline, vec![sequence(&[integer(0)])]), Duration::from_secs(1));
    assert_eq!(accuracy(baseline, vec![sequence(&[micros])]), Duration::from_micros(100));
    assert_eq!(accuracy(own, vec![sequence(&[seconds])]), Duration::from_secs(1));
}

#[test]
fn hostile_accuracy_is_refused() {
    let long = |length| vec![0x7f; length];
    for parts in [
        vec![tlv(0x02, &[vec![0xff]])],
        vec![tlv(0x02, &[vec![]])],
        vec![tlv(0x02, &[vec![0, 1]])],
        vec![tlv(0x02, &[long(5)])],
        vec![tlv(0x02, &[long(9)])],
        vec![tlv(0x02, &[long(200)])],
        vec![tlv(0x80, &[vec![0]])],
        vec![tlv(0x80, &[vec![0x03, 0xe8]])],
        vec![tlv(0x81, &[vec![0x03, 0xe8]])],
        vec![tlv(0x81, &[vec![0xff]])],
    ] {
        let why = refusal(|d, _| d.rest = sequence(&parts));
        assert!(why.contains("accuracy is out of range"), "{parts:x?}: {why}");
    }
    // Out of order, twice, or something else.
    let (millis, micros) = (tlv(0x80, &[vec![1]]), tlv(0x81, &[vec![1]]));
    for parts in
        [vec![micros.clone(), millis.clone()], vec![millis.clone(), millis], vec![micros, integer(1)]]
    {
        assert!(stamped(|d, _| d.rest = sequence(&parts)).is_err(), "{parts:x?}");
    }
    let widest = stamped(|d, _| d.rest = sequence(&[tlv(0x02, &[vec![0, 0xff, 0xff, 0xff, 0xff]])]));
    assert_eq!(widest.unwrap().accuracy(), Duration::from_secs(u32::MAX.into()));
}

#[test]
fn what_follows_the_time_stands_in_its_order() {
    let (ordering, nonce) = (tlv(0x01, &[vec![0xff]]), tlv(0x02, &[vec![0x12; 8]]));
    let tsa = tlv(0xa0, &[tlv(0xa4, &[Authority::new().leaf.subject().der().to_vec()])]);
    let extension =
        |critical: Vec<u8>| tlv(0xa1, &[sequence(&[oid("1.2.3"), critical, tlv(0x04, &[vec![5, 0]])])]);
    let accuracy = sequence(&[integer(2)]);
    let with = |rest: &[&Vec<u8>]| {
        let rest: Vec<Vec<u8>> = rest.iter().map(|part| (*part).clone()).collect();
        stamped(|d, _| d.rest = rest.concat())
    };
    let harmless = extension(Vec::new());
    let timestamp = with(&[&accuracy, &ordering, &nonce, &tsa, &harmless]).unwrap();
    assert!(timestamp.ordering() && timestamp.accuracy() == Duration::from_secs(2));
    assert!(!with(&[&tlv(0x01, &[vec![0]]), &tsa]).unwrap().ordering());
    assert!(with(&[&tlv(0x01, &[vec![1]])]).is_err());
    for wrong in [&[&nonce, &ordering][..], &[&nonce, &accuracy], &[&harmless, &tsa], &[&nonce, &nonce]] {
        assert!(with(wrong).is_err(), "{wrong:x?}");
    }
    let why = with(&[&extension(tlv(0x01, &[vec![0xff]]))]).unwrap_err().to_string();
    assert!(why.contains("critical extension: 1.2.3"), "{why}");
    assert!(refusal(|d, _| d.info_version = 2).contains("version"));
}

#[test]
fn what_is_not_signed_is_passed_over() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let timestamp = by(&authority, |d, _| {
        d.certificates.insert(0, stranger.leaf.clone());
        d.unsigned = [tlv(0xa1, &[integer(1)]), tlv(0xa1, &[integer(2)])];
    });
    assert_eq!(timestamp.unwrap().chain().len(), 3);
}

#[test]
fn tokens_are_bounded() {
    let authority = Authority::new();
    let mut long = authority.stamp(MESSAGE, now());
    long.push(0);
    assert!(Token::parse(&long).is_err(), "a byte follows");
    long.resize(MAX_SIZE + 1, 0);
    assert!(Token::parse(&long).unwrap_err().to_string().contains("more than 65536"));
    let why = refusal(|d, a| d.certificates.extend(vec![a.middle.clone(); 31]));
    assert!(why.contains("more than 32 certificates"), "{why}");
    assert!(stamped(|d, a| d.certificates.extend(vec![a.middle.clone(); 30])).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..1600) {
        let _ = Token::parse(&bytes);
        let token = genuine::token("p256-sha256");
        let mut spliced = token.clone();
        let at = at.min(spliced.len());
        spliced.splice(at.., bytes);
        prop_assert!(spliced == token || genuine::verify(&spliced).is_err());
    }
}
