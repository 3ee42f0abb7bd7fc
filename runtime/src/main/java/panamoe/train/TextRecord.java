package panamoe.train;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import panamoe.io.ConfigJson;
import panamoe.io.Omittable;
import panamoe.io.Require;
import panamoe.open.ModelFolder;
import panamoe.open.StoredWeights;

/**
 * The content of a run's {@code text.json}: the text that it trains on.
 *
 * @param path of a file or a folder, absolute; null for the default corpus
 * @param prepared whether path is a folder of its tokens; null: no
 * @param chat whether path is a file of conversations; null: no
 * @param pairs whether path is a file of pairs of answers; null: no
 * @param validationShare the part of the conversations or pairs that is for validation; null: the
 *     usual one
 * @param languages kept of the default corpus; empty for all
 * @param sha256 of the text, so that a run is not resumed on another
 */
public record TextRecord(
    @Omittable String path,
    @Omittable Boolean prepared,
    @Omittable Boolean chat,
    @Omittable Boolean pairs,
    @Omittable Double validationShare,
    List<String> languages,
    String sha256) {
  public TextRecord {
    if (languages == null || languages.stream().anyMatch(Objects::isNull)) {
      throw new IllegalArgumentException(
          "languages is " + languages + ", expected an array of language codes");
    }
    Require.that(sha256 != null, "sha256 is missing");
    languages = List.copyOf(languages);
  }

  /** From the folder of a model's run; empty if the folder has none. */
  public static Optional<TextRecord> of(ModelFolder model) {
    if (!(model.weights() instanceof StoredWeights.Saved)) {
      return Optional.empty();
    }
    Path checkpoint = model.weights().directory().toAbsolutePath().normalize();
    Path run = model.quantized() ? checkpoint : checkpoint.getParent().getParent();
    return run == null || Files.notExists(run.resolve(RunFolder.TEXT))
        ? Optional.empty()
        : Optional.of(ConfigJson.read(run.resolve(RunFolder.TEXT), TextRecord.class));
  }
}
