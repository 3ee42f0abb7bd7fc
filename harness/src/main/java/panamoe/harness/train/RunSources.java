package panamoe.harness.train;

import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.io.ConfigJson;
import panamoe.open.ModelFolder;
import panamoe.train.RunFolder;
import panamoe.train.TeacherRecord;
import panamoe.train.TextRecord;

/** What a run was started on, its text and its teacher: it is not resumed on another. */
final class RunSources {
  private final RunFolder folder;

  RunSources(RunFolder folder) {
    this.folder = folder;
  }

  /**
   * Reads the text of the run.
   *
   * @param moved the new path of the text, which is recorded; null if it has not moved
   * @throws IllegalArgumentException if the text is missing or has changed
   */
  Text text(Text moved) {
    Path remembered = folder.path().resolve(RunFolder.TEXT);
    if (Files.notExists(remembered)) {
      throw new IllegalArgumentException(
          remembered
              + ", which says what text the run was started on, is missing; put it back, or start a new run in "
              + "another --out");
    }
    TextRecord record = ConfigJson.read(remembered, TextRecord.class);
    Text text = moved != null ? moved : Text.of(record);
    TextRecord found = text.record();
    if (!found.sha256().equals(record.sha256())) {
      throw new IllegalArgumentException(
          moved != null
              ? "the run in "
                  + folder.path()
                  + " was started on another text; without --text, --data and --languages it resumes its own"
              : "the text "
                  + text.source()
                  + " has changed since the run in "
                  + folder.path()
                  + " was started on it");
    }
    if (!found.equals(record)) {
      folder.update(RunFolder.TEXT, found);
    }
    return text;
  }

  /**
   * Opens the teacher of the run.
   *
   * @param moved its new place, which is recorded; null if it has not moved
   * @throws IllegalArgumentException if it is missing or has become another
   */
  ModelFolder teacher(Path moved) {
    Path remembered = folder.path().resolve(RunFolder.TEACHER);
    if (Files.notExists(remembered)) {
      throw new IllegalArgumentException(
          remembered
              + ", which says what the run learns from, is missing; put it back, or start a new run in another --out");
    }
    TeacherRecord record = ConfigJson.read(remembered, TeacherRecord.class);
    ModelFolder teacher = record.open(moved);
    TeacherRecord found = TeacherRecord.of(teacher);
    if (!found.equals(record)) {
      folder.update(RunFolder.TEACHER, found);
    }
    return teacher;
  }
}
