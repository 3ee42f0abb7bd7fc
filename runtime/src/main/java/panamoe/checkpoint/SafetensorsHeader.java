package panamoe.checkpoint;

import java.io.ByteArrayInputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import panamoe.io.StrictJson;
import panamoe.io.Words;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;

/**
 * The validated JSON header of a safetensors file: every tensor has a readable type and offsets
 * that match its shape, and the tensors cover the data without overlap or gap. It is parsed as a
 * stream, so that the limit on tensors bounds its memory.
 */
record SafetensorsHeader(Map<String, StoredTensor> tensors, Map<String, String> metadata) {
  private static final int MAX_RANK = 32;

  static SafetensorsHeader parse(String file, byte[] json, long dataBytes, int maxTensors) {
    return new Parser(file, dataBytes, maxTensors).parse(json);
  }

  private static final class Parser {
    private final String file;
    private final long dataBytes;
    private final int maxTensors;
    private final List<StoredTensor> tensors = new ArrayList<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    Parser(String file, long dataBytes, int maxTensors) {
      this.file = file;
      this.dataBytes = dataBytes;
      this.maxTensors = maxTensors;
    }

    SafetensorsHeader parse(byte[] json) {
      if (json[0] != '{') {
        throw bad("its header does not begin with '{'");
      }
      try (JsonParser in = StrictJson.parser(new ByteArrayInputStream(json))) {
        in.nextToken();
        while (in.nextToken() == JsonToken.PROPERTY_NAME) {
          String name = in.currentName();
          if (name.equals("__metadata__")) {
            readMetadata(in);
          } else {
            readTensor(in, name);
          }
        }
        if (in.nextToken() != null) {
          throw bad("its header goes on after the JSON object");
        }
      } catch (JacksonException e) {
        throw new CheckpointException(
            file + ": its header is not valid: " + StrictJson.reason(e), e);
      }
      tensors.sort(
          Comparator.comparingLong(StoredTensor::begin).thenComparingLong(StoredTensor::end));
      checkCoverage();
      Map<String, StoredTensor> byName = new LinkedHashMap<>();
      tensors.forEach(tensor -> byName.put(tensor.name(), tensor));
      return new SafetensorsHeader(byName, metadata);
    }

    private void readMetadata(JsonParser in) {
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw bad("__metadata__ is not an object");
      }
      while (in.nextToken() == JsonToken.PROPERTY_NAME) {
        String key = in.currentName();
        if (in.nextToken() != JsonToken.VALUE_STRING) {
          throw bad("__metadata__ has a value that is not a string under '" + key + "'");
        }
        metadata.put(key, in.getString());
      }
    }

    private void readTensor(JsonParser in, String name) {
      if (tensors.size() == maxTensors) {
        throw bad("its header lists more than " + maxTensors + " tensors, the limit (maxTensors)");
      }
      if (in.nextToken() != JsonToken.START_OBJECT) {
        throw bad(name, "is not described by an object");
      }
      String dtype = null;
      long[] shape = null;
      long[] offsets = null;
      while (in.nextToken() == JsonToken.PROPERTY_NAME) {
        String field = in.currentName();
        in.nextToken();
        switch (field) {
          case "dtype" -> dtype = string(in, name);
          case "shape" -> shape = wholeNumbers(in, name, "shape", MAX_RANK);
          case "data_offsets" -> offsets = wholeNumbers(in, name, "data_offsets", 2);
          default -> throw bad(name, "has the unknown field '" + field + "'");
        }
      }
      if (dtype == null || shape == null || offsets == null) {
        throw bad(name, "lacks dtype, shape or data_offsets");
      }
      tensors.add(checked(name, dtype, shape, offsets));
    }

    private StoredTensor checked(String name, String dtype, long[] shape, long[] offsets) {
      StoredType type =
          StoredType.named(dtype)
              .orElseThrow(
                  () ->
                      new CheckpointException(
                          file + ": unsupported dtype " + dtype + " in tensor " + name));
      if (offsets.length != 2 || offsets[0] > offsets[1]) {
        throw bad(name, "has invalid data_offsets " + Arrays.toString(offsets));
      }
      if (offsets[1] > dataBytes) {
        throw bad(
            name,
            "ends at byte %s of the data, but the file holds only %s%s",
            offsets[1],
            dataBytes,
            SavedFile.CUT_OFF);
      }
      int last = shape.length - 1;
      if (type.elements() > 1 && (last < 0 || shape[last] % type.elements() != 0)) {
        throw bad(
            name,
            "has the shape %s, whose rows are no whole blocks of %s",
            Arrays.toString(shape),
            type.elements());
      }
      long bytes = type.bytes();
      try {
        for (int i = 0; i <= last; i++) {
          bytes = Math.multiplyExact(bytes, i < last ? shape[i] : shape[i] / type.elements());
        }
      } catch (ArithmeticException e) {
        throw new CheckpointException(
            Words.of(
                "%s: tensor %s has the shape %s, whose size overflows",
                file, name, Arrays.toString(shape)),
            e);
      }
      if (bytes != offsets[1] - offsets[0]) {
        throw bad(
            name,
            "has a size mismatch: %s%s takes %s bytes, its data_offsets span %s",
            dtype,
            Arrays.toString(shape),
            bytes,
            offsets[1] - offsets[0]);
      }
      return new StoredTensor(name, type, shape, offsets[0], offsets[1]);
    }

    private void checkCoverage() {
      long covered = 0;
      String previous = null;
      for (StoredTensor tensor : tensors) {
        if (tensor.begin() < covered) {
          throw bad(
              tensor.name(),
              "begins at byte %s and overlaps tensor %s, which ends at byte %s",
              tensor.begin(),
              previous,
              covered);
        }
        if (tensor.begin() > covered) {
          throw bad(
              Words.of(
                  "bytes %s to %s before tensor %s belong to no tensor",
                  covered, tensor.begin(), tensor.name()));
        }
        covered = tensor.end();
        previous = tensor.name();
      }
      if (covered != dataBytes) {
        throw bad((dataBytes - covered) + " bytes after the last tensor belong to no tensor");
      }
    }

    private String string(JsonParser in, String name) {
      if (in.currentToken() != JsonToken.VALUE_STRING) {
        throw bad(name, "has a dtype that is not a string");
      }
      return in.getString();
    }

    private long[] wholeNumbers(JsonParser in, String name, String field, int most) {
      if (in.currentToken() != JsonToken.START_ARRAY) {
        throw bad(name, "has a " + field + " that is not an array");
      }
      long[] values = new long[most];
      int count = 0;
      while (in.nextToken() != JsonToken.END_ARRAY) {
        boolean whole =
            in.currentToken() == JsonToken.VALUE_NUMBER_INT
                && in.getNumberType() != JsonParser.NumberType.BIG_INTEGER;
        if (!whole || in.getLongValue() < 0) {
          throw bad(name, "has the invalid value " + in.getString() + " in its " + field);
        }
        if (count == most) {
          throw bad(name, "has more than " + most + " numbers in its " + field);
        }
        values[count++] = in.getLongValue();
      }
      return Arrays.copyOf(values, count);
    }

    private CheckpointException bad(String tensor, String pattern, Object... values) {
      return bad("tensor " + tensor + " " + Words.of(pattern, values));
    }

    private CheckpointException bad(String problem) {
      return new CheckpointException(file + ": " + problem);
    }
  }
}
