//! The `Link` header (RFC 8288) as registries page with it: the next page, on the same registry,
//! for the same question.

use http::header::LINK;
use percent_encoding::percent_decode_str;
use url::Url;

use super::endpoint::Answer;
use super::error::Error;

const MAX_LENGTH: usize = 8 * 1024;

/// The query of the next page, if there is one.
///
/// # Errors
/// [`Error::Forbidden`] when it is elsewhere: our token would follow. [`Error::Unavailable`] where a header cannot
/// be read: it may name a next page, without which the list would be short in silence.
pub(super) fn next(answer: &Answer, first: &Url) -> Result<Option<String>, Error> {
    let mut found = None;
    for value in answer.headers.get_all(LINK) {
        let header = value.to_str().map_err(|_| Error::nonsense("its Link is not in ASCII"))?;
        found = found.or(target(header)?);
    }
    let Some(target) = found else { return Ok(None) };
    let url = answer.url.join(target).map_err(|_| Error::nonsense("its Link is not a URL"))?;
    let same_place = |of: &Url| url.origin() == of.origin() && decoded(&url) == decoded(of);
    if !same_place(&answer.url) && !same_place(first) {
        return Err(Error::Forbidden("the next page is at another host or path than the first".to_owned()));
    }
    // Only the query is used, so the next page is asked for where the first one was.
    let query = url.query().ok_or_else(|| Error::nonsense("its Link to the next page has no query"))?;
    Ok(Some(query.to_owned()))
}

/// Some registries write a digest's colon as `%3A`.
fn decoded(url: &Url) -> Vec<u8> {
    percent_decode_str(url.path()).collect()
}

/// The target of the first link whose relation is `next`.
fn target(header: &str) -> Result<Option<&str>, Error> {
    if header.len() > MAX_LENGTH {
        return Err(Error::nonsense(&format!("its Link is longer than {MAX_LENGTH} bytes")));
    }
    if !header.trim().is_empty() && !header.contains('<') {
        return Err(Error::nonsense("its Link names no target in <>"));
    }
    let mut rest = header;
    while let Some((_, link)) = rest.split_once('<') {
        let Some((target, after)) = link.split_once('>') else {
            return Err(Error::nonsense("its Link has a < without a >"));
        };
        // Parameters hold no '<' in any registry's answer; one that does ends the search early.
        let parameters =
            after.split_once(",").filter(|(_, more)| more.contains('<')).map_or(after, |(p, _)| p);
        if parameters.split(';').any(is_next) {
            return Ok(Some(target));
        }
        rest = after;
    }
    Ok(None)
}

fn is_next(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else { return false };
    let value = value.trim().trim_matches('"');
    name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (header, next) in [
            (r#"</v2/a/tags/list?n=2&last=b>; rel="next""#, "/v2/a/tags/list?n=2&last=b"),
            ("<https://x.io/a?b=c,d>;rel=next", "https://x.io/a?b=c,d"),
            (r#"</first>; rel="first", </next>; title="x"; REL="last next""#, "/next"),
        ] {
            assert_eq!(target(header).unwrap(), Some(next));
        }
        for none in [r#"</a>; rel="prev""#, "", " ", "</a>; rel=\"nextish\"", "<a>,<b>"] {
            assert_eq!(target(none).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_no_next_page() {
        let long = format!("<{}>; rel=next", "a".repeat(MAX_LENGTH));
        for unreadable in ["</a", "next", "/a; rel=next", "</a>; rel=prev, </b; rel=next", &long] {
            assert!(matches!(target(unreadable), Err(Error::Unavailable(_))), "{unreadable}");
        }
    }
}
