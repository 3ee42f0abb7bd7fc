package panamoe.harness.serve;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;

/** Request bodies, most of them wrong in some way. */
final class HostileBodies {
  private static final List<String> GOOD =
      List.of(
          "{'prompt':['x',[1,2]],'max_tokens':1,'stop':['a'],'logit_bias':{'1':2},'n':1}",
          "{'prompt':'some words','max_tokens':3,'temperature':0.5,'seed':4,'logprobs':2}",
          "{'messages':[{'role':'user','content':[{'type':'text','text':'hi'}]}],'max_tokens':2}",
          "{'prompt':'a','stream':true,'stream_options':{'include_usage':true},'max_tokens':2}",
          "{'input':['x',[1,2]],'dimensions':5,'encoding_format':'base64','prompt_name':'query'}",
          "{'query':'x','documents':['a',{'text':'b'}],'top_n':1,'return_documents':true}",
          "{'prompt':[[1,2,3],'words'],'echo':true,'logprobs':1,'max_tokens':1,'temperature':0}",
          "{'prompt':'a','max_tokens':2,'response_format':{'type':'json_schema','json_schema':"
              + "{'schema':{'type':'object','properties':{'a':{'type':'integer'}}}}}}",
          "{'input':'hi','instructions':'be','metadata':{'a':'\\ud800'},'max_output_tokens':2}",
          "{'input':[{'role':'user','content':[{'type':'input_text','text':'hi'}]},"
              + "{'type':'function_call','call_id':'c','name':'f','arguments':'{}'},"
              + "{'type':'function_call_output','call_id':'c','output':'1'}],"
              + "'stream':true,'max_output_tokens':2}",
          "{'system':[{'type':'text','text':'be'}],'messages':[{'role':'user','content':'hi'},"
              + "{'role':'assistant','content':[{'type':'thinking','thinking':'x','signature':'y'},"
              + "{'type':'tool_use','id':'c','name':'f','input':{}}]},{'role':'user','content':"
              + "[{'type':'tool_result','tool_use_id':'c','content':[{'type':'text','text':'1'}]}]}],"
              + "'stream':true,'max_tokens':2,'thinking':{'type':'adaptive'}}",
          "{'options':{'num_predict':2,'stop':['a']},'messages':[{'role':'user','content':'hi'},"
              + "{'role':'assistant','content':'','tool_calls':[{'function':{'name':'f','arguments':"
              + "{}}}]},{'role':'tool','content':'1','tool_name':'f'}],'think':false}");

  private static final List<String> STARTS =
      List.of(
          "{'prompt':'x','max_tokens':2",
          "{'prompt':'y','max_tokens':2",
          "{'system':'x','messages':[{'role':'user','content':'x'}],'max_tokens':2",
          "{'options':{'num_predict':2},'messages':[{'role':'user','content':'x'}]");

  private static final List<String> FIELDS =
      List.of(
          "prompt",
          "messages",
          "input",
          "documents",
          "echo",
          "max_tokens",
          "max_completion_tokens",
          "n",
          "temperature",
          "top_p",
          "top_k",
          "min_p",
          "seed",
          "stop",
          "stop_token_ids",
          "logit_bias",
          "logprobs",
          "top_logprobs",
          "stream",
          "stream_options",
          "response_format",
          "presence_penalty",
          "repetition_penalty",
          "priority",
          "cache_salt",
          "timeout_ms",
          "user",
          "model",
          "min_tokens",
          "ignore_eos",
          "tools",
          "tool_choice",
          "metadata",
          "moe",
          "input",
          "previous_response_id",
          "truncation",
          "include",
          "system",
          "stop_sequences",
          "thinking",
          "output_config",
          "context_management",
          "think",
          "format",
          "nobody_knows_this");

  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "0",
          "1",
          "-1",
          "2",
          "128",
          "129",
          "1000000",
          "2147483647",
          "2147483648",
          "-2147483649",
          "9223372036854775807",
          "9223372036854775808",
          "1e400",
          "-1e-400",
          "0.1",
          "1.5",
          "9".repeat(39),
          "9".repeat(5000),
          "NaN",
          "Infinity",
          "''",
          "'x'",
          "'\\u0000'",
          "'\\ud800'",
          "'\\udc00\\ud800'",
          "'text'",
          "[]",
          "[[]]",
          "{}",
          "[null]",
          "[1,2,3]",
          "[60,61]",
          "['a','b']",
          "{'role':'user'}",
          "{'type':'json_object'}",
          "{'0':100,'1':-100}",
          "{'stats':true,'tokens':true,'top_k':1}",
          "{'999999999':1}");

  /** Fields with valid values. */
  private static final List<String> RIGHT =
      List.of(
          "'temperature':0",
          "'n':3",
          "'seed':-9223372036854775808",
          "'top_k':5",
          "'top_p':1e-300",
          "'stop':['x','yz']",
          "'stream':true",
          "'user':'\\u0000'",
          "'logit_bias':{'0':100,'59':-100}",
          "'repetition_penalty':100",
          "'presence_penalty':-100",
          "'priority':1000",
          "'cache_salt':'\\ud800'",
          "'min_tokens':400",
          "'ignore_eos':true",
          "'timeout_ms':86400000",
          "'metadata':[[[]]]",
          "'return_token_ids':true");

  private HostileBodies() {}

  /** A body; equal seeds give equal bodies. */
  static byte[] of(long seed) {
    RandomGenerator random = new SplittableRandom(seed);
    return switch (random.nextInt(8)) {
      case 0, 1, 2 -> mutated(random);
      case 3, 4 -> fields(random);
      case 5 -> {
        byte[] bytes = new byte[random.nextInt(300)];
        random.nextBytes(bytes);
        yield bytes;
      }
      case 6 -> deep(random);
      default -> large(random);
    };
  }

  private static byte[] utf8(String json) {
    return TestServer.quoted(json).getBytes(StandardCharsets.UTF_8);
  }

  private static <T> T one(RandomGenerator random, List<T> list) {
    return list.get(random.nextInt(list.size()));
  }

  /** A valid body with bytes changed, dropped or repeated. */
  private static byte[] mutated(RandomGenerator random) {
    byte[] bytes = utf8(one(random, GOOD));
    for (int change = random.nextInt(3); change >= 0 && bytes.length > 1; change--) {
      int from = random.nextInt(bytes.length);
      int to = from + 1 + random.nextInt(Math.min(20, bytes.length - from));
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      out.write(bytes, 0, from);
      switch (random.nextInt(4)) {
        case 0 -> {
          out.write(random.nextInt(256));
          out.write(bytes, from + 1, bytes.length - from - 1);
        }
        case 1 -> out.write(bytes, to, bytes.length - to);
        case 2 -> {
          out.write(bytes, from, to - from);
          out.write(bytes, from, bytes.length - from);
        }
        default -> out.writeBytes(new byte[] {(byte) 0xc3, '"'}); // cut within a character
      }
      bytes = out.toByteArray();
    }
    return bytes;
  }

  /** Known fields with any values, some of them twice. */
  private static byte[] fields(RandomGenerator random) {
    StringBuilder json = new StringBuilder(one(random, STARTS));
    for (int field = random.nextInt(5); field >= 0; field--) {
      json.append(',');
      if (random.nextInt(4) > 0) {
        json.append(one(random, RIGHT));
      } else {
        json.append("'").append(one(random, FIELDS)).append("':").append(one(random, VALUES));
      }
    }
    return utf8(json.append('}').toString());
  }

  private static byte[] deep(RandomGenerator random) {
    int depth = 1 + random.nextInt(random.nextBoolean() ? 70 : 5000);
    String open = one(random, List.of("[", "{'a':", "[{'a':", "[1,"));
    return utf8("{'" + one(random, FIELDS) + "':" + open.repeat(depth));
  }

  /** A large value. */
  private static byte[] large(RandomGenerator random) {
    int count = 1 + random.nextInt(3000);
    String[] many = new String[count];
    return switch (random.nextInt(4)) {
      case 0 -> {
        Arrays.setAll(many, i -> "'" + i + "':" + i % 101);
        yield utf8("{'prompt':'x','max_tokens':1,'logit_bias':{" + String.join(",", many) + "}}");
      }
      case 1 -> {
        Arrays.fill(many, "'s'");
        yield utf8("{'prompt':'x','max_tokens':1,'stop':[" + String.join(",", many) + "]}");
      }
      case 2 -> {
        Arrays.fill(many, "'p'");
        yield utf8("{'prompt':[" + String.join(",", many) + "],'max_tokens':1,'n':128}");
      }
      default -> {
        Arrays.setAll(many, i -> "'f" + i + "':1");
        yield utf8("{'prompt':'x'," + String.join(",", many) + "}");
      }
    };
  }
}
