//! The answer of `finrace explain`: what a message says, which causes it fits, what to do next.

use std::fmt::Write;

use super::markdown;
use super::page::Page;
use super::style::{TextOptions, Tone};
use super::units::{count, counted};
use crate::messages::Message;
use crate::report::explanation::{Explanation, Recognised};
use crate::report::{Cause, Fit};

/// One document.
pub fn json(explanation: &Explanation) -> String {
    serde_json::to_string_pretty(explanation).expect("an explanation is plain data with string keys") + "\n"
}

/// For people, a line end after each line.
pub fn table(explanation: &Explanation, options: TextOptions) -> String {
    let mut page = Page::new(options);
    for alike in alike(explanation) {
        page.messages(&alike, explanation.lines);
        page.blank();
    }
    page.rest(explanation);
    page.text
}

/// The same as Markdown.
pub fn markdown(explanation: &Explanation) -> String {
    let mut text = String::new();
    for alike in alike(explanation) {
        let [first, ..] = alike[..] else { continue };
        for message in &alike {
            let _ = writeln!(
                text,
                "### {}: {}\n",
                markdown::escape(&message.who),
                markdown::escape(&message.line)
            );
            let _ = writeln!(
                text,
                "{}: `{}`\n",
                found(message, explanation.lines),
                message.quote.replace('`', "'")
            );
        }
        let _ = writeln!(
            text,
            "{}\n",
            markdown::escape(&format!("{}. {}", capital(&first.moment_name), first.says))
        );
        text += "| cause | fits | what it is |\n|---|---|---|\n";
        for candidate in &first.causes {
            let _ =
                writeln!(text, "| {} | {} | {} |", candidate.cause, candidate.fit, in_short(candidate.cause));
        }
        text.push('\n');
        for other in &first.otherwise {
            let _ = writeln!(text, "- Also: {}", markdown::escape(other));
        }
        let _ = writeln!(text, "- Again? {}", markdown::escape(&first.retry));
        for step in &first.next {
            let command = step.command.as_ref().map_or_else(String::new, |command| format!(" `{command}`"));
            let _ = writeln!(text, "- Next: {}{command}", markdown::escape(&step.text));
        }
        text.push('\n');
    }
    let mut page = Page::new(TextOptions { width: u16::MAX, color: false, unicode: true });
    page.rest(explanation);
    text + &markdown::escape(&page.text)
}

/// Every message that is known, as a table in Markdown.
pub fn list(messages: &[Message]) -> String {
    let mut text =
        "| who | message | moment | causes, best first | source |\n|---|---|---|---|---|\n".to_owned();
    for message in messages {
        let causes: Vec<String> = message
            .causes
            .iter()
            .map(|candidate| format!("{} ({})", candidate.cause, candidate.fit))
            .collect();
        let cells =
            [message.who.as_str(), &message.line, &message.moment.name, &causes.join(", "), &message.source];
        let cells: Vec<String> = cells.into_iter().map(markdown::escape).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// Messages that say the same, together.
fn alike(explanation: &Explanation) -> Vec<Vec<&Recognised>> {
    let mut groups: Vec<Vec<&Recognised>> = Vec::new();
    for message in &explanation.messages {
        let same = |group: &&mut Vec<&Recognised>| {
            let other = group[0];
            (&other.moment, &other.says, &other.causes, &other.next)
                == (&message.moment, &message.says, &message.causes, &message.next)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(message),
            None => groups.push(vec![message]),
        }
    }
    groups
}

impl Page {
    fn messages(&mut self, alike: &[&Recognised], lines: u64) {
        for message in alike {
            self.paragraph(&format!("{}: {}", message.who, message.line), Tone::Ink, true, 0);
            self.explained("Found", &format!("{}: {}", found(message, lines), message.quote));
        }
        let message = alike[0];
        self.explained("At this moment", &format!("{}. {}", capital(&message.moment_name), message.says));
        for (index, candidate) in message.causes.iter().enumerate() {
            let fit = match candidate.fit {
                Fit::Well => "fits well",
                Fit::Possible => "is possible",
                Fit::Poorly => "fits poorly",
            };
            let sentence = format!("{} {fit}: {}", candidate.cause, in_short(candidate.cause));
            self.explained(if index == 0 { "Causes" } else { "" }, &sentence);
        }
        for (index, other) in message.otherwise.iter().enumerate() {
            self.explained(if index == 0 { "Also possible" } else { "" }, other);
        }
        self.explained("Send it again?", &message.retry);
        for (index, step) in message.next.iter().enumerate() {
            self.explained(if index == 0 { "Next" } else { "" }, &step.text);
            if let Some(command) = &step.command {
                self.command("", command);
            }
        }
        for (index, message) in alike.iter().enumerate() {
            self.explained(if index == 0 { "Source" } else { "" }, &message.source);
        }
    }

    /// What was not recognised.
    fn rest(&mut self, explanation: &Explanation) {
        let lines = counted(explanation.lines, "line");
        if explanation.messages.is_empty() {
            let sentence = "No message that finrace knows. Give the whole line with the lines around it, or the whole stack \
                            trace; docs/messages.md lists what is known.";
            self.paragraph(sentence, Tone::Fin, true, 0);
        } else if explanation.lines > 1 {
            let sentence =
                format!("{} of {lines} with a known message.", count(explanation.recognised_lines));
            self.paragraph(&sentence, Tone::Ink, false, 0);
        }
        if explanation.cut_lines > 0 {
            let cut = counted(explanation.cut_lines, "line");
            let sentence = format!("{cut} longer than 64 KiB: only the beginning was looked at.");
            self.paragraph(&sentence, Tone::Ink, false, 0);
        }
        if explanation.not_recognised_count > 0 {
            let others = counted(explanation.not_recognised_count, "other message");
            self.paragraph(
                &format!("{others} of failures that finrace does not know, the first of them:"),
                Tone::Ink,
                false,
                0,
            );
            for line in &explanation.not_recognised {
                self.paragraph(line, Tone::Muted, false, 2);
            }
        }
        if !explanation.messages.is_empty() {
            let sentence = "A text proves no cause: packets do. What finrace explain can and cannot tell: docs/explain.md";
            self.paragraph(sentence, Tone::Muted, false, 0);
        }
    }
}

fn found(message: &Recognised, lines: u64) -> String {
    match (message.count, lines) {
        (1, 0 | 1) => "once".to_owned(),
        (1, _) => format!("once, in line {}", count(message.first_line)),
        (times, _) => format!("{} times, first in line {}", count(times), count(message.first_line)),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A cause in a few words. C sends requests, S answers them.
const fn in_short(cause: Cause) -> &'static str {
    match cause {
        Cause::CrossedFin => "the server's close and the request crossed on the way (the race)",
        Cause::UnreadRequest => "the server closed with the request unread (the race)",
        Cause::DiscardedRequest => {
            "the server had closed its side, took the request and threw it away (the race)"
        }
        Cause::StaleReuse => "the connection was used although its close had already arrived",
        Cause::ResetIdle => "the server reset an idle connection",
        Cause::StateLost => {
            "server or path had forgotten the connection: NAT, firewall, load balancer, reboot"
        }
        Cause::SilentDrop => "a device in the path drops the packets without a word",
        Cause::DiedMidRequest => "the server ended while it worked on the request",
        Cause::TruncatedResponse => "the response was cut off",
        Cause::ResponseReset => "the response was complete, and a reset erased it",
        Cause::ProxyTimeout => "whoever waited for the response gave up",
        Cause::ClientAbort => "the client left while its response was under way",
        Cause::Refused => "nobody listens there",
        Cause::ConnectTimeout => "the connection was never answered",
        Cause::UnsolicitedResponse => "the server sent a response before it was asked",
        Cause::Goaway => "HTTP/2: the server takes no more requests on this connection",
        Cause::Unknown => "none of the causes that finrace knows",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Recogniser;

    fn explained(text: &str) -> Explanation {
        let mut recogniser = Recogniser::default();
        text.lines().for_each(|line| recogniser.line(line.as_bytes(), false));
        recogniser.explanation()
    }

    #[test]
    fn hostile_text_reaches_no_terminal() {
        let text = table(
            &explained("\u{1b}]0;owned\u{7}socket hang up \u{202e}\u{9b}2J\nit was reset \u{1b}[2J\u{202e}"),
            TextOptions::default(),
        );
        assert!(text.contains("socket hang up"), "{text}");
        assert!(
            !text.chars().any(|letter| letter != '\n' && super::super::visible::is_hidden(letter)),
            "{text:?}"
        );
    }

    #[test]
    fn an_answer_names_causes_in_their_order_and_what_to_do() {
        let text = table(
            &explained(
                "recv() failed (104: Connection reset by peer) while reading response header from upstream",
            ),
            TextOptions::default(),
        );
        let unread = text.find("unread-request fits well").expect("the first cause");
        assert!(unread < text.find("state-lost fits well").expect("the second"), "{text}");
        assert!(text.contains("finrace check --proxy nginx --backend SERVER"), "{text}");
        assert!(text.contains("tcpdump -i any"), "{text}");
        insta::assert_snapshot!(
            "explain_nginx_eof",
            table(
                &explained(
                    "upstream prematurely closed connection while reading response header from upstream"
                ),
                TextOptions { width: 100, ..TextOptions::default() }
            )
        );
    }

    #[test]
    fn what_says_the_same_is_told_once() {
        let both = explained("socket hang up\nSocketError: other side closed\nsocket hang up");
        assert_eq!(both.messages.len(), 2);
        let text = table(&both, TextOptions::default());
        assert!(text.contains("2 times, first in line 1"), "{text}");
        assert!(text.contains("3 of 3 lines with a known message."), "{text}");
        let markdown = markdown(&both);
        assert!(markdown.contains("| crossed-fin | well |"), "{markdown}");
    }
}
