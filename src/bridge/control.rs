//! The bridge's end of the channel.

use std::io;
use std::rc::Rc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::channel::{Down, LIMIT, Up, encode};
use super::fault::BridgeFault;
use super::state::Bridge;

/// Takes what the supervisor sends, until the channel closes.
pub async fn receive(bridge: Rc<Bridge>, mut socket: OwnedReadHalf) {
    while let Ok(frame) = next(&mut socket).await {
        match frame {
            Down::Credentials(newer) => bridge.credentials.replace(&newer),
            Down::Refused {
                generation,
                code,
                line,
                hint,
            } => bridge
                .credentials
                .refuse(generation, BridgeFault::said(&code, line, hint)),
            // Only the first frame is one.
            Down::Start(_) => return,
        }
    }
}

async fn next(socket: &mut OwnedReadHalf) -> io::Result<Down> {
    let length = usize::try_from(socket.read_u32_le().await?).unwrap_or(usize::MAX);
    if length > LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    socket.read_exact(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Sends what the bridge reports.
pub async fn send(mut socket: OwnedWriteHalf, mut reports: mpsc::UnboundedReceiver<Up>) {
    while let Some(report) = reports.recv().await {
        let Ok(bytes) = encode(&report) else {
            continue;
        };
        if socket.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
