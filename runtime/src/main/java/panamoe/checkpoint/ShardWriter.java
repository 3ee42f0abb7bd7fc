package panamoe.checkpoint;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import panamoe.comm.Communicator;
import panamoe.io.Words;
import panamoe.tensor.Elements;

/**
 * Writes the tensors of a checkpoint. Every rank writes its own tensors, into files that are
 * numbered over all ranks.
 */
record ShardWriter(Disk disk, Sharding sharding, Communicator ranks) {
  /**
   * @param part {@code model} or {@code optimizer}
   * @return the files of all ranks
   */
  Map<String, Manifest.FileEntry> write(
      Path into, String part, Map<String, ? extends Elements> tensors) throws IOException {
    List<Map<String, Elements>> shards = sharding.cut(new TreeMap<>(tensors));
    long[] counts = ranks.allGather(shards.size());
    int before = 0;
    int total = 0;
    for (int rank = 0; rank < counts.length; rank++) {
      before += rank < ranks.rank() ? (int) counts[rank] : 0;
      total += (int) counts[rank];
    }
    int first = before + 1;
    int last = total;
    Map<String, Manifest.FileEntry> mine = new TreeMap<>();
    CollectiveDisk.allDo(
        ranks,
        () -> {
          for (int i = 0; i < shards.size(); i++) {
            Map<String, Elements> shard = shards.get(i);
            String name =
                last == 1
                    ? part + ".safetensors"
                    : Words.of("%s-%05d-of-%05d.safetensors", part, first + i, last);
            mine.put(
                name,
                disk.write(
                    into.resolve(name),
                    out -> SafetensorsWriter.write(out, shard, Map.of("format", "pt"))));
          }
        });
    return ofAllRanks(mine);
  }

  /** Gathers names, sizes and checksums as lines of text. */
  private Map<String, Manifest.FileEntry> ofAllRanks(Map<String, Manifest.FileEntry> mine) {
    StringBuilder lines = new StringBuilder();
    mine.forEach(
        (name, entry) ->
            lines.append(
                name + " " + entry.size() + " " + entry.sha256() + " " + entry.crc32c() + "\n"));
    Map<String, Manifest.FileEntry> all = new TreeMap<>();
    for (int rank = 0; rank < ranks.size(); rank++) {
      String received = new String(ranks.broadcast(lines.toString().getBytes(UTF_8), rank), UTF_8);
      received
          .lines()
          .map(line -> line.split(" "))
          .forEach(
              field ->
                  all.put(
                      field[0],
                      new Manifest.FileEntry(Long.parseLong(field[1]), field[2], field[3])));
    }
    return all;
  }
}
