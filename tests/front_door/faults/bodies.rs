//! Bodies that end early, late, never, or with other bytes than they should.

use std::time::Duration;

use bytes::Bytes;

use super::stand::{Stand, large, noise, sent_from_file};
use crate::test_proxy::served;

const CUT: usize = 64 << 10;

#[tokio::test]
async fn a_body_that_is_cut_again_and_again_is_resumed_and_fetched_once() {
    for resets in [false, true] {
        let blob = large();
        let sent = blob.clone();
        let stand = Stand::start(blob, move |mut conn| {
            let sent = sent.clone();
            async move {
                let rest = conn.honest(&sent).await;
                conn.body(&rest[..CUT.min(rest.len())]).await;
                // Time to read what came: a reset discards what was not.
                tokio::time::sleep(Duration::from_millis(20)).await;
                if resets { conn.reset() } else { conn.finish().await }
            }
        })
        .await;
        served(&stand.blob().await, &stand.blob);
        let size = stand.blob.len() as u64;
        let expected: Vec<u64> = (0..size / CUT as u64).map(|n| n * CUT as u64).collect();
        assert_eq!(stand.wire.asked(), expected, "each request asks for what is missing");
        assert_eq!(stand.wire.sent(), size);
        stand.assert_recovers().await;
    }
}

#[tokio::test]
async fn an_upstream_without_ranges_is_read_again_from_the_start() {
    let blob = noise(6 * CUT);
    let sent = blob.clone();
    let stand = Stand::start(blob, move |mut conn| {
        let sent = sent.clone();
        async move {
            conn.head("200 OK", &[format!("Content-Length: {}", sent.len())]).await;
            conn.body(&sent[..((conn.number + 1) * CUT).min(sent.len())]).await;
            conn.finish().await;
        }
    })
    .await;
    served(&stand.blob().await, &stand.blob);
    assert_eq!(stand.wire.asked().len(), 6);
    stand.assert_recovers().await;
}

#[tokio::test]
async fn a_part_that_belongs_to_other_content_is_refused() {
    let other_range =
        |sent: &Bytes, from: usize| format!("bytes {}-{}/{}", from + 1, sent.len() - 1, sent.len());
    let other_size = |sent: &Bytes, from: usize| format!("bytes {from}-{}/{}", sent.len(), sent.len() + 1);
    for range in [other_range, other_size] as [fn(&Bytes, usize) -> String; 2] {
        let sent = large();
        let stand = Stand::start(sent.clone(), move |mut conn| {
            let sent = sent.clone();
            async move {
                if conn.from == 0 {
                    conn.honest(&sent).await;
                    conn.body(&sent[..CUT]).await;
                } else {
                    let range = format!("Content-Range: {}", range(&sent, conn.from));
                    conn.head("206 Partial Content", &[range]).await;
                    conn.body(&sent[conn.from..]).await;
                }
                conn.finish().await;
            }
        })
        .await;
        let got = stand.blob().await;
        stand.assert_not_had(&got);
        stand.assert_recovers().await;
    }
}

#[tokio::test]
async fn a_wrong_byte_anywhere_completes_no_answer_and_keeps_nothing() {
    for blob in [large(), sent_from_file()] {
        let size = blob.len();
        for at in [0, size / 2, size - 1] {
            let mut wrong = blob.to_vec();
            wrong[at] ^= 1;
            let stand = Stand::start(blob.clone(), move |mut conn| {
                let wrong = wrong.clone();
                async move {
                    // Half of it is told before the rest proves it wrong.
                    let (first, second) = conn.honest(&wrong).await.split_at(wrong.len() / 2);
                    conn.body(first).await;
                    tokio::time::sleep(Duration::from_millis(400)).await;
                    conn.body(second).await;
                    conn.finish().await;
                }
            })
            .await;
            let got = stand.blob().await;
            assert!(got.status == 200 && !got.complete && got.body.len() < size, "byte {at}: {}", got.status);
            assert!(got.body.len() >= size / 2, "byte {at}: {} of {size} came", got.body.len());
            assert!(!stand.kept().exists());
            assert_eq!(stand.failures("corrupt").await, 1.0);
            stand.assert_recovers().await;
        }
    }
}

#[tokio::test]
async fn another_length_than_the_manifest_says_is_no_blob() {
    for change in [-1, 1] {
        for announced in [true, false] {
            let mut other = large().to_vec();
            other.resize(large().len().checked_add_signed(change).unwrap(), 0);
            let stand = Stand::start(large(), move |mut conn| {
                let other = other.clone();
                async move {
                    let length = format!("Content-Length: {}", other.len());
                    conn.head("200 OK", if announced { std::slice::from_ref(&length) } else { &[] }).await;
                    conn.body(&other).await;
                    conn.finish().await;
                }
            })
            .await;
            let got = stand.blob().await;
            if announced {
                assert_eq!(got.status, 503, "refused before its first byte");
            } else if change < 0 {
                stand.assert_not_had(&got);
            } else if got.complete {
                assert_eq!(got.body, stand.blob, "what comes beyond is not taken");
            }
            stand.assert_recovers().await;
        }
    }
}

#[tokio::test]
async fn a_body_that_stalls_ends_in_time_and_goes_on_where_somebody_sends_it() {
    for goes_on in [true, false] {
        let blob = large();
        let sent = blob.clone();
        let stand = Stand::start(blob, move |mut conn| {
            let sent = sent.clone();
            async move {
                let rest = conn.honest(&sent).await;
                if goes_on && conn.number > 0 {
                    conn.body(rest).await;
                    conn.finish().await;
                } else {
                    conn.body(&rest[..if conn.number == 0 { CUT } else { 0 }]).await;
                    conn.gone().await;
                }
            }
        })
        .await;
        let got = stand.blob().await;
        if goes_on {
            served(&got, &stand.blob);
        } else {
            stand.assert_not_had(&got);
            assert_eq!(stand.failures("unavailable").await, 1.0);
        }
        stand.assert_recovers().await;
    }
}

#[tokio::test]
async fn a_body_that_drips_comes_through() {
    let blob = noise(64);
    let sent = blob.clone();
    let stand = Stand::start(blob, move |mut conn| {
        let sent = sent.clone();
        async move {
            let rest = conn.honest(&sent).await;
            conn.drip(rest, 1, Duration::from_millis(20)).await;
            conn.finish().await;
        }
    })
    .await;
    served(&stand.blob().await, &stand.blob);
    assert_eq!(stand.wire.asked(), [0]);
    stand.assert_recovers().await;
}

/// The length is the descriptor's: the end of a chunked body is not waited for, and what comes
/// beyond is not taken.
#[tokio::test]
async fn a_chunked_body_without_an_end_ends_where_the_blob_does() {
    for endless in [false, true] {
        let blob = large();
        let sent = blob.clone();
        let stand = Stand::start(blob, move |mut conn| {
            let sent = sent.clone();
            async move {
                conn.head("200 OK", &["Transfer-Encoding: chunked".to_owned()]).await;
                conn.raw(format!("{:x}\r\n", sent.len())).await;
                conn.body(&sent).await;
                conn.raw("\r\n").await;
                while endless && conn.raw("1000\r\n").await && conn.raw([0; 0x1000]).await {
                    conn.raw("\r\n").await;
                }
                conn.gone().await;
            }
        })
        .await;
        let got = stand.blob().await;
        if !endless {
            served(&got, &stand.blob);
        } else if got.status == 200 && got.complete {
            assert_eq!(got.body, stand.blob);
        }
        stand.assert_recovers().await;
    }
}

#[tokio::test]
async fn a_body_that_is_always_reset_is_given_up() {
    let blob = large();
    let sent = blob.clone();
    let stand = Stand::start(blob, move |mut conn| {
        let sent = sent.clone();
        async move {
            let rest = conn.honest(&sent).await;
            if conn.number == 0 {
                conn.body(&rest[..CUT]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            conn.reset();
        }
    })
    .await;
    let got = stand.blob().await;
    stand.assert_not_had(&got);
    assert!(stand.wire.asked().len() < 20, "{:?}", stand.wire.asked());
    stand.assert_recovers().await;
}

/// Bytes that came are told while the rest is asked for again, and that question is asked once however long
/// it takes.
#[tokio::test]
async fn a_resumption_that_is_slower_than_what_is_told_is_not_begun_again() {
    let blob = large();
    let sent = blob.clone();
    let stand = Stand::start(blob, move |mut conn| {
        let sent = sent.clone();
        async move {
            if conn.number > 0 {
                tokio::time::sleep(Duration::from_millis(600)).await;
                let rest = conn.honest(&sent).await;
                conn.body(rest).await;
            } else {
                let rest = conn.honest(&sent).await;
                conn.body(&rest[..CUT]).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                conn.body(&rest[CUT..2 * CUT]).await;
            }
            conn.finish().await;
        }
    })
    .await;
    served(&stand.blob().await, &stand.blob);
    assert_eq!(stand.wire.asked(), [0, 2 * CUT as u64]);
    stand.assert_recovers().await;
}
