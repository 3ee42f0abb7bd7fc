package panamoe.train;

import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.io.Require;
import panamoe.open.ModelFolder;

/**
 * The content of a run's {@code teacher.json}: which checkpoint it learns from.
 *
 * @param path of the checkpoint, absolute
 * @param sha256 of its manifest, which has a checksum of each file
 */
public record TeacherRecord(String path, String sha256) {
  /** Of a teacher; null of none. */
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
   * @param moved its new place; null if it has not moved
   * @throws IllegalArgumentException if it is no longer there, or has become another
   */
  public ModelFolder open(Path moved) {
    Path place = moved != null ? moved : Path.of(path);
    if (Files.notExists(place)) {
      throw Require.refusal(
          moved != null
              ? "there is no teacher at %s"
              : "the run's teacher is no longer at %s; if it was moved, name its new place by distill"
                  + " --resume --teacher",
          place);
    }
    ModelFolder teacher = ModelFolder.open(place);
    Require.that(
        teacher.checkpoint().sha256().equals(sha256),
        "the teacher in %s is another checkpoint than the one that the run learns from",
        teacher.checkpoint().directory());
    return teacher;
  }
}
