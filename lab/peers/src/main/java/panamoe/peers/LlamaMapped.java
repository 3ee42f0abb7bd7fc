package panamoe.peers;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.tensor.DType;

/**
 * A text that libllama writes greedily from a file that it maps, its usual way: where memory has no
 * room for the file, the system reads pages when they are needed. {@code ci/slow.d/offload} asks
 * for it.
 */
final class LlamaMapped {
  /** What the system counts for this process; a line is the bytes that came from disks. */
  private static final Path READS = Path.of("/proc/self/io");

  private static final String BYTES = "read_bytes: ";

  private LlamaMapped() {}

  /** A text of {@code count} tokens after {@code prompt}. */
  record Question(String mapped, int threads, int[] prompt, int count) {}

  /**
   * @param seconds from the first token to the last
   * @param bytesRead from disks, meanwhile and for the prompt
   */
  record Answer(int[] ids, double seconds, long bytesRead) {}

  /**
   * @throws IllegalArgumentException if the library refuses the file
   */
  static Answer answer(LibLlama library, Question question) throws IOException {
    int[] prompt = question.prompt();
    MemorySegment model = library.mapModel(Path.of(question.mapped()));
    int length = prompt.length + question.count();
    try (LlamaTexts text =
        new LlamaTexts(library, model, 1, length, length, question.threads(), DType.BFLOAT16)) {
      long before = bytesRead();
      GreedyText written =
          GreedyText.after(prompt, question.count(), text, library.vocabulary(model));
      return new Answer(written.ids(), written.nanos() / 1e9, bytesRead() - before);
    } finally {
      library.freeModel(model);
    }
  }

  private static long bytesRead() throws IOException {
    return Files.readAllLines(READS).stream()
        .filter(line -> line.startsWith(BYTES))
        .mapToLong(line -> Long.parseLong(line.substring(BYTES.length())))
        .sum();
  }
}
