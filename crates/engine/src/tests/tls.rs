//! TLS between a lane and a session, over a pipe that delivers in pieces and cuts anywhere; time is virtual.

use super::{support::*, wired::*};
use crate::{
    auth::Security,
    error::ErrorKind,
    io::{
        TlsTransport,
        pipe::{Behaviour, Pipe, pipe},
    },
    op::Done,
    stats::Counted,
    tls::{ClientCert, Credentials, Tls},
};
use memlane_wire::Mode;
use std::sync::Arc;

/// Certificates and keys of scripts/test-certificates.mjs.
macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("certificates/", $name, ".pem"))
    };
}

/// One certificate for all that we show, and belief in the fleet's authority.
fn showing(both: &[u8]) -> Credentials {
    Credentials {
        cert: Some(both.to_vec()),
        key: Some(both.to_vec()),
        ca: Some(pem!("fleet").to_vec()),
        client_cert: ClientCert::Require,
        server_name: None,
    }
}

fn good() -> Credentials {
    showing(pem!("good"))
}

fn tls(credentials: &Credentials) -> Arc<Tls> {
    Arc::new(Tls::new(credentials).unwrap())
}

type Over = TlsTransport<Pipe>;

fn secured(tls: &Arc<Tls>) -> Arc<Security> {
    Arc::new(Security {
        tls: Some(Arc::clone(tls)),
        ..Security::default()
    })
}

fn over([there, back]: [Behaviour; 2], ours: &Arc<Tls>, theirs: &Arc<Tls>) -> Wired {
    let (near, far) = pipe(there, back);
    let near: Over = TlsTransport::dialled(near, ours.dialled("127.0.0.1").unwrap());
    let far = TlsTransport::accepted(far, theirs);
    wired_over(near, far, Mode::Native, secured(ours), secured(theirs))
}

fn in_steps_of(step: usize) -> Behaviour {
    Behaviour {
        step,
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_arrive_whole_however_records_are_cut_up() {
    let both = tls(&good());
    for step in [1, 7, 64, 16_405, 16_406, 70_000, usize::MAX] {
        let wired = over([in_steps_of(step); 2], &both, &both);
        let most = if step < 16 { 20_000 } else { (2 << 20) + 3 };
        for len in [1, 8, 8193, 16_383, 16_384, 16_385, most] {
            let bytes = pattern(len, len as u64);
            wired.write(5, &bytes).await.unwrap();
            assert!(
                wired.read(5, len).await.unwrap() == bytes,
                "{len} bytes in steps of {step}"
            );
        }
        let receiving = wired.post(100);
        assert_eq!(wired.send(b"message").await.unwrap(), Done::Bytes(7));
        assert!(matches!(receiving.ended.wait().await.unwrap(), Done::Message(_)));
    }
}
