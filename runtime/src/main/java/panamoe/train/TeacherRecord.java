package panamoe.train;

import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.io.Require;
import panamoe.open.ModelFolder;

/**
 * The content of a run's {@code teacher.json}: the checkpoint that it learns from.
 *
 * @param path of the checkpoint, absolute
 * @param sha256 of its manifest, which has a checksum of each file
 */
public record TeacherRecord(String path, String sha256) {
  /** For a teacher; null for none. */
  public static TeacherRecord of(ModelFolder teacher) {
    return teacher == null
        ? null
        : new TeacherRecord(
            teacher.checkpoint().directory().toAbsolutePath().normalize().toString(),
            teacher.checkpoint().sha256());
  }

  /**
   * Opens the teacher again.
   *
   * @param moved its new path; null if it has not moved
   * @throws IllegalArgumentException if it does not exist or has changed
   */
  public ModelFolder open(Path moved) {
    Path folder = moved != null ? moved : Path.of(path);
    if (Files.notExists(folder)) {
      throw Require.refusal(
          moved != null
              ? "there is no teacher at %s"
              : "the run's teacher is no longer at %s; if it was moved, give its new path to distill"
                  + " --resume --teacher",
          folder);
    }
    ModelFolder teacher = ModelFolder.ofRun(folder);
    Require.that(
        teacher.checkpoint().sha256().equals(sha256),
        "the teacher in %s is another checkpoint than the one that the run learns from",
        teacher.checkpoint().directory());
    return teacher;
  }
}
