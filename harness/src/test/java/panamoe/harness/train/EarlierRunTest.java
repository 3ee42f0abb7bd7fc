package panamoe.harness.train;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import panamoe.config.EveryPart;
import panamoe.harness.CommandRun;
import panamoe.io.Sha256;
import panamoe.io.StrictJson;

/** A run that an earlier version wrote, before models were composed block by block. */
class EarlierRunTest {
  @TempDir private Path folder;

  @Test
  void isResumedBitForBit() throws IOException {
    String earlier = earlierConfig();
    Path config = Files.writeString(folder.resolve("earlier.json"), earlier);
    Path text =
        Files.writeString(
            folder.resolve("text.txt"), "The committee thanks its members.\n".repeat(400));
    Path run = folder.resolve("run");
    CommandRun trained =
        CommandRun.of(
            "train",
            "--config",
            config.toString(),
            "--text",
            text.toString(),
            "--out",
            run.toString());
    assertEquals(0, trained.exitCode(), trained.err());
    Path last = run.resolve("checkpoints/step-00000004");
    byte[] expected = Files.readAllBytes(last.resolve("model.safetensors"));

    Files.move(last, folder.resolve("last"));
    Files.delete(run.resolve("report.html"));
    Path middle = run.resolve("checkpoints/step-00000002");
    Files.writeString(run.resolve("checkpoints/latest"), middle.getFileName() + "\n");
    Files.writeString(run.resolve("config.json"), earlier);
    Files.writeString(middle.resolve("config.json"), earlier);
    sign(middle.resolve("manifest.json"), earlier);

    CommandRun inspected = CommandRun.of("inspect", run.toString(), "--verify");
    assertEquals(0, inspected.exitCode(), inspected.err());
    CommandRun resumed = CommandRun.of("train", "--resume", "--out", run.toString());
    assertEquals(0, resumed.exitCode(), resumed.err());
    assertTrue(resumed.err().contains("going on after step 2, "), resumed.err());
    assertArrayEquals(expected, Files.readAllBytes(last.resolve("model.safetensors")));
  }

  private static String earlierConfig() throws IOException {
    try (InputStream in = EveryPart.class.getResourceAsStream("earlier/pr-moe.json")) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return text.replace("\"steps\" : 1", "\"steps\" : 4")
          .replace("\"checkpointEvery\" : 0", "\"checkpointEvery\" : 2");
    }
  }

  /** Makes the manifest one of this config. */
  private static void sign(Path manifest, String config) throws IOException {
    byte[] bytes = config.getBytes(StandardCharsets.UTF_8);
    ObjectNode json = (ObjectNode) StrictJson.tree(Files.readAllBytes(manifest));
    ObjectNode file = (ObjectNode) json.at("/files/config.json");
    file.put("size", bytes.length).put("sha256", sha256(bytes)).remove("crc32c");
    json.remove("sha256");
    json.put("sha256", sha256(StrictJson.bytes(json)));
    Files.write(manifest, StrictJson.bytes(json));
  }

  private static String sha256(byte[] bytes) {
    MessageDigest digest = Sha256.digest();
    digest.update(bytes);
    return Sha256.hex(digest);
  }
}
