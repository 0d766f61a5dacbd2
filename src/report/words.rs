//! The closed vocabulary: every enum that appears in output, with its token.

use schemars::JsonSchema;
use serde::Serialize;

/// Declares an enum whose variants carry a stable machine token.
macro_rules! tokens {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $token:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $token)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The stable machine token.
            pub const fn token(self) -> &'static str {
                match self { $($name::$variant => $token),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.token())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|word| word.token() == text).ok_or_else(|| {
                    let known: Vec<_> = Self::ALL.iter().map(|word| word.token()).collect();
                    format!("unknown {} `{text}`; known: {}", stringify!($name).to_lowercase(), known.join(", "))
                })
            }
        }
    };
}

tokens! {
    /// Why a request died. C is the client (it sends requests), S the server.
    Cause {
        /// S's FIN and C's request crossed in flight; S's kernel answered RST.
        CrossedFin = "crossed-fin",
        /// S's kernel took the request, S's process closed without reading it: RST+ACK and no FIN.
        UnreadRequest = "unread-request",
        /// S had closed its sending half; it acknowledged the request and threw it away, with no RST.
        DiscardedRequest = "discarded-request",
        /// C sent the request although its kernel already held S's FIN.
        StaleReuse = "stale-reuse",
        /// The response before had said that the connection would close; C, which had received it, sent a request all the same.
        AnnouncedClose = "announced-close",
        /// S reset an idle connection; a request crossed the RST or followed it.
        ResetIdle = "reset-idle",
        /// The request met a peer that did not know the connection: RST without any FIN before it.
        StateLost = "state-lost",
        /// The request was retransmitted and never acknowledged.
        SilentDrop = "silent-drop",
        /// S took the request and worked on it, then closed without a byte of response.
        DiedMidRequest = "died-mid-request",
        /// The response began and was cut off.
        TruncatedResponse = "truncated-response",
        /// The response was complete, but a RST behind it may have erased it at C.
        ResponseReset = "response-reset",
        /// C gave up waiting and closed.
        ProxyTimeout = "proxy-timeout",
        /// C closed while a response was under way.
        ClientAbort = "client-abort",
        /// SYN answered by RST.
        Refused = "refused",
        /// SYN retransmitted and never answered.
        ConnectTimeout = "connect-timeout",
        /// S sent a response nobody had asked for (408 on an idle connection), and a request crossed it.
        UnsolicitedResponse = "unsolicited-response",
        /// HTTP/2: a request on a stream above the last one that GOAWAY accepts.
        Goaway = "goaway",
        /// A request without a response that no rule explains.
        Unknown = "unknown",
    }
}

impl Cause {
    /// Whether the cause is always a form of the keep-alive race.
    /// `stale-reuse` is one only with a gap of a few ms: see `diagnosis`.
    pub const fn is_race(self) -> bool {
        matches!(self, Cause::CrossedFin | Cause::UnreadRequest | Cause::DiscardedRequest)
    }
}

tokens! {
    /// What brought the close about that a request was lost to, where one cause can have several.
    Root {
        /// Two idle timers in the wrong order.
        IdleTimers = "idle-timers",
        /// The same, where S had announced for how long it keeps idle connections (`Keep-Alive: timeout`), and C used one when
        /// that was over.
        Overdue = "overdue",
        /// S's timer for connections that have carried no request yet.
        FirstRequestTimer = "first-request-timer",
        /// S closed right after an answer: a limit on requests, a recycled worker, a reload.
        AfterAnswer = "after-answer",
        /// S closes connections at an age, whatever their idle time.
        AgeLimit = "age-limit",
        /// Something on the path refused the request or cut the connection, and no silence had to do with it.
        Refused = "refused-on-path",
        /// S was restarted and closed all its connections at once.
        Restart = "restart",
        /// What the cause itself names.
        Cause = "cause",
    }
}

tokens! {
    /// Why a server is at risk.
    Risk {
        /// It closes idle connections that the client would still have used.
        IdleTimers = "idle-timers",
        /// It closes right after answers without having said so, and a request was lost to that.
        AfterAnswer = "after-answer",
        /// Something between C and S forgets connections.
        PathForgets = "path-forgets",
    }
}

tokens! {
    /// How sure a verdict is.
    Confidence {
        /// The packets prove it.
        Certain = "certain",
        /// The packets fit, something that would prove it is missing.
        Likely = "likely",
        /// The capture cannot tell.
        Inconclusive = "inconclusive",
    }
}

tokens! {
    /// How a connection ended, incident or not.
    Ending {
        /// The client closed first.
        ClientFin = "client-fin",
        /// The server closed first.
        ServerFin = "server-fin",
        /// Both FINs crossed.
        BothFin = "both-fin",
        /// The client reset it.
        ClientReset = "client-reset",
        /// The server reset it.
        ServerReset = "server-reset",
        /// A TLS close_notify, answered by the peer's own alert and perhaps a RST: normal.
        TlsClose = "tls-close",
        /// A protocol's goodbye was sent into a close; nothing was lost.
        Goodbye = "goodbye",
        /// SYN answered by RST.
        Refused = "refused",
        /// SYN never answered.
        NoAnswer = "no-answer",
        /// A health probe: handshake, no data, closed or reset by the client.
        Probe = "probe",
        /// Still open when the capture ended.
        Open = "open",
    }
}

tokens! {
    /// One end of a connection.
    Side {
        /// The side that sends requests (the proxy, in the lab).
        Client = "client",
        /// The side that answers (the backend, in the lab).
        Server = "server",
    }
}

impl Side {
    /// The opposite end.
    pub const fn peer(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

tokens! {
    /// Where a capture was taken.
    Vantage {
        /// On the client's host.
        Client = "client",
        /// On the server's host.
        Server = "server",
        /// Somewhere in the path.
        Between = "between",
        /// The packets do not tell.
        Unknown = "unknown",
    }
}

tokens! {
    /// Can the server's application have processed a lost request: is a retry safe?
    RetrySafe {
        /// It cannot have been processed; any method may be retried.
        Yes = "yes",
        /// It may have been processed; only idempotent requests may be retried.
        No = "no",
        /// The packets do not tell.
        Unknown = "unknown",
    }
}

/// Was a lost request sent again, and did its user see anything of the loss? Only [`Retried::Yes`] is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Retried {
    /// It was sent again on another connection and answered there: the user saw nothing.
    Yes,
    /// No equal request followed in the capture.
    No,
    /// An equal request followed: a retry, or somebody else's.
    Maybe,
    /// It was sent again, and that failed, too.
    Failed,
    /// The capture cannot tell: the bytes of requests cannot be compared, or what became of the second try was not captured.
    Unknown,
}

impl Retried {
    /// Every value, in the order of the documentation.
    pub const ALL: &'static [Retried] =
        &[Retried::Yes, Retried::No, Retried::Maybe, Retried::Failed, Retried::Unknown];

    /// The stable machine token, as it is in JSON: the first two are a boolean there.
    pub const fn token(self) -> &'static str {
        match self {
            Retried::Yes => "true",
            Retried::No => "false",
            Retried::Maybe => "maybe",
            Retried::Failed => "failed",
            Retried::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Retried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.token())
    }
}

impl Serialize for Retried {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Retried::Yes => serializer.serialize_bool(true),
            Retried::No => serializer.serialize_bool(false),
            word => serializer.serialize_str(word.token()),
        }
    }
}

impl JsonSchema for Retried {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Retried".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Was a lost request sent again, and did its user see anything of the loss? Only `true` is harmless.",
            "oneOf": [
                { "const": true, "description": "It was sent again on another connection and answered there: the user saw nothing." },
                { "const": false, "description": "No equal request followed in the capture." },
                { "const": "maybe", "description": "An equal request followed: a retry, or somebody else's." },
                { "const": "failed", "description": "It was sent again, and that failed, too." },
                {
                    "const": "unknown",
                    "description": "The capture cannot tell: the bytes of requests cannot be compared, or what became of the second try was not captured."
                },
            ],
        })
    }
}

tokens! {
    /// What something on the path, or a server's host that lost its memory, did to a request.
    PathLoss {
        /// After a silence it no longer knew the connection.
        Forgot = "forgot",
        /// It refused the request although the connection had been in use just before, or was new.
        Refused = "refused",
        /// It cut the connection while the server had the request.
        Cut = "cut",
    }
}

tokens! {
    /// Can a client and a server race with the timers that were observed?
    Verdict {
        /// The client gave up idle connections before the server did.
        Safe = "safe",
        /// The client reuses connections at idle times at which the server closes them.
        AtRisk = "at-risk",
        /// Too little was observed.
        Unknown = "unknown",
    }
}

tokens! {
    /// What a frame proves.
    Role {
        /// First SYN.
        Syn = "syn",
        /// Last byte of the response before.
        PreviousResponse = "previous_response",
        /// First segment of the lost request.
        Request = "request",
        /// The server's acknowledgement of the lost request.
        RequestAck = "request_ack",
        /// The server's FIN.
        Fin = "fin",
        /// The client's acknowledgement of that FIN.
        FinAck = "fin_ack",
        /// First byte of the response, where one began.
        Response = "response",
        /// The first RST.
        Reset = "reset",
        /// HTTP/2: the server's GOAWAY.
        Goaway = "goaway",
        /// The client's FIN.
        ClientFin = "client_fin",
        /// The client's RST.
        ClientReset = "client_reset",
    }
}

tokens! {
    /// How well a message fits a cause. A text proves nothing: that takes packets.
    Fit {
        /// This is what the cause looks like to whoever writes the message.
        Well = "well",
        /// The cause can look like this.
        Possible = "possible",
        /// The cause looks like this in odd cases only.
        Poorly = "poorly",
    }
}
