package panamoe.peers;

import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import panamoe.lab.conformance.llamacpp.TextComparison;
import panamoe.lab.conformance.llamacpp.TextComparison.Answer;
import panamoe.lab.conformance.llamacpp.TextComparison.Question;
import panamoe.lab.conformance.replay.ModelReplay;
import panamoe.tensor.DType;

/** A text in libllama: its tokens, their likelihood, and a greedy completion of its beginning. */
final class LlamaText {
  private LlamaText() {}

  /**
   * Reads the text.
   *
   * @throws IllegalArgumentException if the library refuses the file
   */
  static Answer answer(LibLlama library, Question question) {
    MemorySegment model = library.loadUnpacked(Path.of(question.reading()));
    int scored = question.most();
    int length = Math.max(scored, question.prompt() + question.count());
    try (LlamaSequences text =
        new LlamaSequences(library, model, 1, length, scored, question.threads(), DType.FLOAT32)) {
      int[] tokens = library.tokenize(model, question.text(), true, false);
      int vocabulary = library.vocabulary(model);
      int count = Math.min(scored, tokens.length);
      for (int i = 0; i < count; i++) {
        text.add(tokens[i], 0, i, true);
      }
      text.decode();
      double nats = 0;
      for (int i = 1; i < count; i++) {
        nats += TextComparison.nats(text.logits(i - 1, vocabulary), tokens[i]);
      }
      int[] ids = new int[question.count()];
      int next = ModelReplay.largest(text.logits(question.prompt() - 1, vocabulary));
      text.cut(question.prompt());
      for (int i = 0; i < ids.length; i++) {
        ids[i] = next;
        text.add(next, 0, question.prompt() + i, true);
        text.decode();
        next = ModelReplay.largest(text.logits(0, vocabulary));
      }
      return new Answer(tokens, nats, ids);
    } finally {
      library.freeModel(model);
    }
  }
}
