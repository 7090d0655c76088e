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
/// [`Error::Forbidden`] when it is elsewhere: our token would follow.
pub(super) fn next(answer: &Answer, first: &Url) -> Result<Option<String>, Error> {
    let mut targets = answer.headers.get_all(LINK).iter().filter_map(|value| target(value.to_str().ok()?));
    let Some(target) = targets.next() else { return Ok(None) };
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
fn target(header: &str) -> Option<&str> {
    if header.len() > MAX_LENGTH {
        return None;
    }
    let mut rest = header;
    while let Some((_, link)) = rest.split_once('<') {
        let (target, after) = link.split_once('>')?;
        // Parameters hold no '<' in any registry's answer; one that does ends the search early.
        let parameters =
            after.split_once(",").filter(|(_, more)| more.contains('<')).map_or(after, |(p, _)| p);
        if parameters.split(';').any(is_next) {
            return Some(target);
        }
        rest = after;
    }
    None
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
        assert_eq!(target(r#"</v2/a/tags/list?n=2&last=b>; rel="next""#), Some("/v2/a/tags/list?n=2&last=b"));
        assert_eq!(target("<https://x.io/a?b=c,d>;rel=next"), Some("https://x.io/a?b=c,d"));
        assert_eq!(target(r#"</first>; rel="first", </next>; title="x"; REL="last next""#), Some("/next"));
        for none in [r#"</a>; rel="prev""#, "</a", "", "next", "</a>; rel=\"nextish\"", "<a>,<b>"] {
            assert_eq!(target(none), None, "{none}");
        }
        assert_eq!(target(&format!("<{}>; rel=next", "a".repeat(MAX_LENGTH))), None);
    }
}
