package panamoe.harness.train;

import java.nio.file.Files;
import java.nio.file.Path;
import panamoe.conversation.ChatFormat;
import panamoe.io.ConfigJson;
import panamoe.io.Require;
import panamoe.open.FolderChat;
import panamoe.open.ModelFolder;
import panamoe.open.TokenizerFiles;
import panamoe.train.RunFolder;
import panamoe.train.TeacherRecord;
import panamoe.train.TextRecord;

/** The text and the teacher that a run was started on; it is not resumed on others. */
record RunSources(RunFolder folder) {
  /**
   * Reads the text of the run.
   *
   * @param moved the new path of the text, which is recorded; null if it has not moved
   * @throws IllegalArgumentException if the text is missing or has changed
   */
  TrainingText text(TrainingText moved) {
    TextRecord record =
        remembered(RunFolder.TEXT, TextRecord.class, "what text the run was started on");
    TrainingText text = moved != null ? moved : TrainingText.of(record, this::chatFormat);
    TextRecord found = text.record();
    if (!found.sha256().equals(record.sha256())) {
      throw moved != null
          ? Require.refusal(
              "the run in %s was started on another text; leave out --text, --data, --chat, --dpo and --languages to resume it",
              folder.path())
          : Require.refusal(
              "the text %s has changed since the run in %s was started on it",
              text.source(), folder.path());
    }
    if (!found.equals(record)) {
      folder.update(RunFolder.TEXT, found);
    }
    return text;
  }

  /** The format of conversations with the run's model. */
  ChatFormat chatFormat() {
    return FolderChat.of(TokenizerFiles.of(folder.path()), folder.config().model());
  }

  /**
   * Opens the teacher of the run.
   *
   * @param moved its new path, which is recorded; null if it has not moved
   * @throws IllegalArgumentException if it is missing or has changed
   */
  ModelFolder teacher(Path moved) {
    TeacherRecord record =
        remembered(RunFolder.TEACHER, TeacherRecord.class, "what the run learns from");
    ModelFolder teacher = record.open(moved);
    TeacherRecord found = TeacherRecord.of(teacher);
    if (!found.equals(record)) {
      folder.update(RunFolder.TEACHER, found);
    }
    return teacher;
  }

  private <T extends Record> T remembered(String name, Class<T> type, String what) {
    Path file = folder.path().resolve(name);
    if (Files.notExists(file)) {
      String missing = ", is missing; put it back, or start a new run in another --out";
      throw new IllegalArgumentException(file + ", which says " + what + missing);
    }
    return ConfigJson.read(file, type);
  }
}
