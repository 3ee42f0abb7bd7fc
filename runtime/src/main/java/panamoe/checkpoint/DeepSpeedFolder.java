package panamoe.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import panamoe.io.Words;

/** The folder of a checkpoint that Megatron-DeepSpeed wrote. */
public final class DeepSpeedFolder {
  private static final String LATEST = "latest";
  private static final int LONGEST_TAG = 255;

  private DeepSpeedFolder() {}

  /**
   * The folder with the files: {@code path}, or the folder that its file {@code latest} names.
   * Empty without these.
   */
  public static Optional<Path> of(Path path) {
    return holdsModel(path)
        ? Optional.of(path)
        : tag(path).map(path::resolve).filter(DeepSpeedFolder::holdsModel);
  }

  /** The file of the model's tensors outside of experts. */
  public static Path model(Path folder, int rank) {
    return folder.resolve(Words.of("mp_rank_%02d_model_states.pt", rank));
  }

  private static boolean holdsModel(Path folder) {
    return Files.isRegularFile(model(folder, 0));
  }

  /** Why a folder is not a checkpoint of Panamoe; empty unless it looks like DeepSpeed's. */
  static Optional<String> reason(Path path) {
    if (of(path).isPresent()) {
      return Optional.of(
          path + " is a checkpoint of Megatron-DeepSpeed; convert it first by edit --reshape");
    }
    return tag(path)
        .map(
            tag -> {
              if (tag.isEmpty()) {
                return " names no folder";
              }
              boolean there = Files.exists(path.resolve(tag));
              return " names " + tag + ", which " + (there ? "holds no model" : "is not there");
            })
        .map(what -> path.resolve(LATEST) + what);
  }

  /** The name in {@code latest}; "" if it is not a plain name, empty if there is no such text. */
  private static Optional<String> tag(Path path) {
    Path latest = path.resolve(LATEST);
    try {
      if (!Files.isRegularFile(latest) || Files.size(latest) > LONGEST_TAG) {
        return Optional.empty();
      }
      String tag = Files.readString(latest).strip();
      return Optional.of(tag.matches("[\\w-][\\w.-]*") ? tag : "");
    } catch (IOException e) { // not Megatron's, which is text
      return Optional.empty();
    }
  }
}
