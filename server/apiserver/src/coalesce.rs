//! Lets what many streams of a connection have to say go out together.
//!
//! The HTTP/2 library flushes after each frame of data. When an event wakes a hundred watchers that share
//! a connection, that would be a hundred TLS records and a hundred system calls. Here a flush is put off
//! until the connection is polled again, behind the tasks that are ready to run: those that write to the
//! same connection do so meanwhile, and all of it leaves at once. With nothing else to run, that costs
//! no time.
//!
//! ```text
//! write ──► buffer ──full──► out        flush ──► wake the connection ──next poll──► out
//! ```
//!
//! For that the connection's polls are counted ([`Polls::count`]); a stream that somebody else drives,
//! as after an upgrade of HTTP/1, must not be wrapped.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much waits at most: four frames of the size that clients allow unless they say otherwise (RFC 9113,
/// section 6.5.2), each with its head. Larger writes pass by, uncopied.
pub(crate) const CAPACITY: usize = 4 * ((16 << 10) + 9);
/// What a connection that has nothing to say keeps of that.
const KEPT: usize = 16 << 10;

/// Counts how often a connection has been polled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polls(Arc<AtomicU64>);

impl Polls {
    /// Counts the polls of the future that drives the connection.
    pub(crate) async fn count<F: Future>(self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(move |context| {
            self.0.fetch_add(1, Ordering::Relaxed);
            future.as_mut().poll(context)
        })
        .await
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream whose flushes are put off.
#[derive(Debug)]
pub(crate) struct Coalesce<S> {
    inner: S,
    polls: Polls,
    buffer: Vec<u8>,
    /// How much of the buffer is out already.
    out: usize,
    /// The poll in which a flush was asked for that has not happened.
    put_off: Option<u64>,
}

impl<S: AsyncWrite + Unpin> Coalesce<S> {
    /// A stream that the future which `polls` counts reads and writes.
    pub(crate) fn new(inner: S, polls: Polls) -> Self {
        Self {
            inner,
            polls,
            buffer: Vec::new(),
            out: 0,
            put_off: None,
        }
    }

    /// Writes what waits.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.out < self.buffer.len() {
            let rest = &self.buffer[self.out..];
            let written = ready!(Pin::new(&mut self.inner).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out += written;
        }
        self.out = 0;
        self.buffer.clear();
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coalesce<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.buffer.len() + bytes.len() > CAPACITY {
            ready!(self.poll_drain(context))?;
        }
        if bytes.len() > CAPACITY {
            return Pin::new(&mut self.inner).poll_write(context, bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let total = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if self.buffer.len() + total > CAPACITY {
            ready!(self.poll_drain(context))?;
        }
        if total > CAPACITY {
            return Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        }
        for slice in slices {
            self.buffer.extend_from_slice(slice);
        }
        Poll::Ready(Ok(total))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.buffer.is_empty() {
            let now = self.polls.now();
            let asked = *self.put_off.get_or_insert_with(|| {
                context.waker().wake_by_ref();
                now
            });
            if asked == now {
                return Poll::Ready(Ok(()));
            }
        }
        ready!(self.poll_drain(context))?;
        self.put_off = None;
        self.buffer.shrink_to(KEPT);
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(context))?;
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Coalesce<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn everything_arrives_in_order_whatever_its_size() {
        let (near, mut far) = tokio::io::duplex(1000);
        let sizes = [
            0,
            1,
            100,
            CAPACITY - 1,
            CAPACITY,
            CAPACITY + 1,
            3 * CAPACITY,
            7,
        ];
        let text: Vec<u8> = (0..=255).cycle().take(sizes.iter().sum()).collect();
        let expected = text.clone();
        let polls = Polls::default();
        let mut stream = Coalesce::new(near, polls.clone());
        let writing = tokio::spawn(polls.count(async move {
            let mut rest = text.as_slice();
            for size in sizes {
                let (part, after) = rest.split_at(size);
                stream.write_all(part).await.unwrap();
                if size % 2 == 1 {
                    stream.flush().await.unwrap();
                }
                rest = after;
            }
            stream.shutdown().await.unwrap();
        }));
        let mut arrived = Vec::new();
        far.read_to_end(&mut arrived).await.unwrap();
        assert!(arrived == expected);
        writing.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_flushed_in_one_poll_leaves_together_in_the_next() {
        let (near, mut far) = tokio::io::duplex(1000);
        let polls = Polls::default();
        let mut stream = Coalesce::new(near, polls.clone());
        let mut parts = [&b"one"[..], b"two", b""].into_iter();
        let driver = polls.count(std::future::poll_fn(move |context| {
            // As the HTTP/2 library does: a flush after each part, and one in each further poll.
            for part in parts.by_ref().take_while(|part| !part.is_empty()) {
                assert!(Pin::new(&mut stream).poll_write(context, part).is_ready());
                assert!(Pin::new(&mut stream).poll_flush(context).is_ready());
            }
            assert!(Pin::new(&mut stream).poll_flush(context).is_ready());
            Poll::<()>::Pending
        }));
        let mut driver = std::pin::pin!(driver);
        let mut buffer = [0; 100];
        assert!(futures::poll!(driver.as_mut()).is_pending());
        assert!(futures::poll!(std::pin::pin!(far.read(&mut buffer))).is_pending());
        assert!(futures::poll!(driver.as_mut()).is_pending());
        assert_eq!(far.read(&mut buffer).await.unwrap(), 6);
    }
}
