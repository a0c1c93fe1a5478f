//! What all encoders share: being open, ending once, fences, and the commands so far.

use std::sync::{Arc, Mutex};

use objc2::DefinedClass;
use objc2::rc::Retained;
use objc2_metal::MTLFence;

use crate::gpu::work::Work;
use crate::gpu::{Encoder, FenceUse, Node};
use crate::metal::buffer::SoftBuffer;
use crate::metal::command_buffer::SoftCommandBuffer;
use crate::metal::lifetime::Claim;
use crate::metal::memory::{Memory, Use};
use crate::metal::sync::SoftFence;
use crate::metal::{Label, Protocol, soft};
use crate::rules::{Rule, lock};
use crate::world::{Live, World};

/// An encoder of a command buffer.
pub(crate) struct Core {
    pub(crate) buffer: Retained<SoftCommandBuffer>,
    pub(crate) label: Label,
    kind: &'static str,
    /// Nothing once it has ended.
    commands: Mutex<Option<Encoder>>,
    live: Live,
}

impl Core {
    pub(crate) fn new(buffer: &Retained<SoftCommandBuffer>, kind: &'static str) -> Self {
        Self {
            buffer: buffer.clone(),
            label: Label::default(),
            kind,
            commands: Mutex::new(Some(Encoder::default())),
            live: Live::new(buffer.world(), kind),
        }
    }

    pub(crate) fn world(&self) -> &Arc<World> {
        &self.live.world
    }

    pub(crate) fn unretained(&self) -> bool {
        !self.buffer.ivars().style.retained
    }

    /// Names a call to an encoder that has ended.
    pub(crate) fn open(&self, call: &str) {
        let open = lock(&self.commands).is_some();
        self.world().require(open, Rule::EncodeAfterEnd, || {
            format!("{call} of the {} `{}`", self.kind, self.label.text())
        });
    }

    pub(crate) fn end(&self) {
        let commands = lock(&self.commands).take();
        match commands {
            None => self.world().broke(
                Rule::EndedTwice,
                format!("the {} `{}`", self.kind, self.label.text()),
            ),
            Some(mut commands) => {
                commands.label = self.label.text();
                self.buffer.close(commands);
            }
        }
    }

    /// Commands so far.
    pub(crate) fn len(&self) -> usize {
        lock(&self.commands).as_ref().map_or(0, |it| it.nodes.len())
    }

    /// Adds a command after some of those before it, and gives its place.
    pub(crate) fn push(
        &self,
        work: Option<Work>,
        after: Vec<usize>,
        memory: &[&Arc<Memory>],
    ) -> usize {
        let mut commands = lock(&self.commands);
        let Some(commands) = commands.as_mut() else {
            return 0;
        };
        for it in memory.iter().filter(|it| it.tracked) {
            if !commands.tracked.contains(&it.id) {
                commands.tracked.push(it.id);
            }
        }
        commands.nodes.push(Node { work, after });
        commands.nodes.len() - 1
    }

    pub(crate) fn fence(&self, fence: &Protocol<dyn MTLFence>, it: FenceUse) {
        self.open("a fence's use");
        let fence: &SoftFence = soft(self.world(), fence.as_ref());
        if let Some(commands) = lock(&self.commands).as_mut() {
            let claim = Claim::new(&fence.ivars().lifetime);
            let fence = Arc::clone(&fence.ivars().fence);
            commands.fences.push((fence, it, claim));
        }
    }

    /// A command's claim on a buffer, which the command buffer keeps alive if it retains what it uses.
    pub(crate) fn claim(&self, buffer: &SoftBuffer, offset: usize) -> Use {
        if !self.unretained() {
            self.buffer.keep(buffer);
        }
        Use::new(&buffer.ivars().memory, offset)
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if lock(&self.commands).is_some() {
            self.buffer.abandon();
            self.world().broke(
                Rule::EncoderNeverEnded,
                format!("the {} `{}` was released", self.kind, self.label.text()),
            );
        }
    }
}
