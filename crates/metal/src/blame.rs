//! Which kernels each encoder of a batch launched, to name those of one that failed.

use tidegate_core::PipelineId;

const LABEL: &str = "tidegate encoder ";

/// The pipelines of each encoder, in one arena.
#[derive(Default)]
pub(crate) struct Blame {
    pipelines: Vec<PipelineId>,
    /// Where each encoder's pipelines begin.
    starts: Vec<usize>,
    /// For each pipeline, the encoder, counted from 1 over all batches, that launched it last.
    seen: Vec<u64>,
    encoders: u64,
}

impl Blame {
    /// Forgets the batch. Keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.pipelines.clear();
        self.starts.clear();
    }

    /// Notes that an encoder begins, and returns its place.
    pub(crate) fn begin(&mut self) -> usize {
        self.starts.push(self.pipelines.len());
        self.encoders += 1;
        self.starts.len() - 1
    }

    /// Notes a launch in the encoder that began last.
    pub(crate) fn launch(&mut self, pipeline: PipelineId) {
        let index = pipeline.0 as usize;
        if self.seen.len() <= index {
            self.seen.resize(index + 1, 0);
        }
        if std::mem::replace(&mut self.seen[index], self.encoders) != self.encoders {
            self.pipelines.push(pipeline);
        }
    }

    /// The label of an encoder.
    pub(crate) fn label(index: usize) -> String {
        format!("{LABEL}{index}")
    }

    /// The pipelines launched in the encoders with these labels, each once.
    pub(crate) fn kernels(&self, labels: &[String]) -> Vec<PipelineId> {
        let mut found = Vec::new();
        for label in labels {
            let index = label.strip_prefix(LABEL).and_then(|it| it.parse().ok());
            let Some(start) = index.and_then(|it: usize| self.starts.get(it)) else {
                continue;
            };
            let next = index.and_then(|it| self.starts.get(it + 1));
            let end = next.copied().unwrap_or(self.pipelines.len());
            for pipeline in &self.pipelines[*start..end] {
                if !found.contains(pipeline) {
                    found.push(*pipeline);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_answers_for_what_it_launched() {
        let mut blame = Blame::default();
        for _ in 0..2 {
            blame.clear();
            for encoder in [&[1, 2, 1][..], &[], &[2, 3]] {
                blame.begin();
                encoder.iter().for_each(|it| blame.launch(PipelineId(*it)));
            }
            let of = |index: usize| blame.kernels(&[Blame::label(index)]);
            assert_eq!(of(0), [PipelineId(1), PipelineId(2)]);
            assert_eq!(of(1), []);
            assert_eq!(of(2), [PipelineId(2), PipelineId(3)]);
            assert_eq!(of(3), []);
            assert_eq!(
                blame.kernels(&[Blame::label(0), "other".to_owned(), Blame::label(2)]),
                [PipelineId(1), PipelineId(2), PipelineId(3)]
            );
        }
    }
}
