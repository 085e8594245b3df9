#include <iostream>
#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <thread>

static std::map<std::string, int> numbers{{"one", 1}};

// Uses an exception, a thread and a regular expression. Returns 3 if all of them work.
extern "C" int cpp(int n) {
  int caught = 0, found = 0;
  try {
    if (n > 40)
      throw std::runtime_error("too long");
  } catch (const std::exception &error) {
    std::cout << "caught " << error.what() << std::endl;
    caught = 1;
  }
  std::thread thread([&] { found = numbers.at("one"); });
  thread.join();
  return caught + found + std::regex_match("abc", std::regex("a.[[:lower:]]"));
}
