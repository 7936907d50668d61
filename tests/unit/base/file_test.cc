// Mappings, whole-file reads and atomic writes; only regular files are opened.
#include "base/file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "base/error.h"
#include "support/temp_dir.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Code code_of_open(const fs::path& path) {
  try {
    MappedFile::open(path);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << path << " was opened";
  return Code::internal;
}

size_t files_in(const fs::path& folder) {
  return static_cast<size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

class FileTest : public ::testing::Test {
 protected:
  test::TempDir temp_;
  fs::path file_ = temp_.path() / "file";
};

TEST_F(FileTest, MapsContent) {
  write_file_atomically(file_, "some bytes");
  const auto mapping = MappedFile::open(file_);
  EXPECT_EQ(text_of(mapping->bytes()), "some bytes");
  EXPECT_EQ(mapping->path(), file_);
  fs::remove(file_);  // the mapping stays valid
  EXPECT_EQ(text_of(mapping->bytes()), "some bytes");
}

TEST_F(FileTest, MapsEmptyFile) {
  write_file_atomically(file_, "");
  EXPECT_TRUE(MappedFile::open(file_)->bytes().empty());
  EXPECT_EQ(read_file(file_), "");
}

TEST_F(FileTest, RefusesWhatIsNotARegularFile) {
  EXPECT_EQ(code_of_open(temp_.path() / "absent"), Code::not_found);
  EXPECT_EQ(code_of_open(temp_.path()), Code::invalid_argument);
  EXPECT_EQ(code_of_open("/dev/zero"), Code::invalid_argument);
  ASSERT_EQ(::mkfifo(file_.c_str(), 0600), 0);
  EXPECT_EQ(code_of_open(file_), Code::invalid_argument);  // and does not wait for a writer
  const fs::path loop = temp_.path() / "loop";
  fs::create_symlink(loop, loop);
  EXPECT_EQ(code_of_open(loop), Code::io);
}

TEST_F(FileTest, OpensThroughASymlink) {
  write_file_atomically(file_, "x");
  const fs::path link = temp_.path() / "link";
  fs::create_symlink(file_, link);
  EXPECT_EQ(text_of(MappedFile::open(link)->bytes()), "x");
}

TEST_F(FileTest, ReadFileHonoursItsLimit) {
  write_file_atomically(file_, "12345");
  EXPECT_EQ(read_file(file_, 5), "12345");
  try {
    read_file(file_, 4);
    FAIL() << "the limit was ignored";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::limit_exceeded);
    EXPECT_THAT(error.what(), HasSubstr("5 bytes, the limit is 4"));
  }
}

TEST_F(FileTest, WriteReplacesWholeContentAndLeavesNoOtherFile) {
  write_file_atomically(file_, std::string(100000, 'a'));
  write_file_atomically(file_, "short");
  EXPECT_EQ(read_file(file_), "short");
  EXPECT_EQ(files_in(temp_.path()), 1u);
}

TEST_F(FileTest, WriteIntoAbsentFolderFails) {
  EXPECT_THROW(write_file_atomically(temp_.path() / "no" / "file", "x"), Error);
}

TEST_F(FileTest, AbandonedWriterLeavesTheOldContent) {
  write_file_atomically(file_, "old");
  try {
    FileWriter writer(file_);
    const std::string half = "half of the new";
    writer.append(std::as_bytes(std::span(half)));
    throw std::runtime_error("the source of the data broke");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(files_in(temp_.path()), 1u);
}

TEST_F(FileTest, WriterJoinsPieces) {
  FileWriter writer(file_);
  for (const std::string piece : {"one ", "", "two ", "three"})
    writer.append(std::as_bytes(std::span(piece)));
  EXPECT_FALSE(fs::exists(file_));
  writer.commit();
  EXPECT_EQ(read_file(file_), "one two three");
  EXPECT_THROW(writer.commit(), Error);
}

TEST_F(FileTest, FullDiskIsAnErrorAndLeavesTheOldContent) {
  write_file_atomically(file_, "old");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  Code code = Code::internal;
  try {
    write_file_atomically(file_, std::string(100000, 'x'));
  } catch (const Error& error) {
    code = error.code();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(code, Code::io);
  EXPECT_EQ(read_file(file_), "old");
  EXPECT_EQ(files_in(temp_.path()), 1u);
}

TEST(MappedFile, BytesLostUnderTheMappingReadAsZerosAndAreReported) {
  install_mapping_guard();
  const test::TempDir temp;
  const fs::path path = temp.path() / "shrinks";
  std::ofstream(path) << std::string(40000, 'x');
  const auto whole = MappedFile::open(path);
  const auto other = MappedFile::open(path);
  EXPECT_EQ(text_of(whole->bytes().subspan(20000, 2)), "xx");
  ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
  EXPECT_NO_THROW(whole->check_intact());  // nothing was read yet
  EXPECT_EQ(text_of(whole->bytes().subspan(39999, 1)), std::string(1, '\0'));
  EXPECT_EQ(text_of(whole->bytes().subspan(4096, 1)), std::string(1, '\0'));
  EXPECT_EQ(text_of(whole->bytes().subspan(4000, 1)), "x");
  try {
    whole->check_intact();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::io);
    EXPECT_THAT(error.what(), HasSubstr("cut short"));
  }
  EXPECT_NO_THROW(other->check_intact());
}

TEST(MappedFile, OtherBusErrorsStillEndTheProcess) {
  install_mapping_guard();
  EXPECT_DEATH(::raise(SIGBUS), "");  // by the signal, or by a sanitizer's report of it
}

}  // namespace
}  // namespace weir
